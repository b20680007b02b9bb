"""A run in a container of its own, from the claim to its end: what a slot does differently for it.

The container is made before the run is claimed, so that an engine that is away leaves the run to other workers; it starts after the
run was signed, as that takes seconds and the keeper must know who has it.

Danger: nothing may be raised out of here: the slot has given its warm child back, and would do so again.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from redrive.blocks.process.container_engine import CannotContain, EngineAway
from redrive.infra.worker.conclusion import release
from redrive.infra.worker.containers.containers import RunContainers
from redrive.infra.worker.delivery import deliver
from redrive.infra.worker.deployments import Deployment
from redrive.infra.worker.due import Due
from redrive.infra.worker.job_process import ChildGone
from redrive.infra.worker.job_template import WarmConfiguration

if TYPE_CHECKING:
    from redrive.infra.worker.slots import Slots

#: Seconds a run is left alone that nobody here can start at the moment.
LEFT_ALONE = 5.0


async def run_contained(slots: Slots, due: Due, config: WarmConfiguration, deployment: Deployment | None) -> None:
    """Claim a run and run it, to its end."""
    source = slots.containers.for_run(due.id, config)
    try:
        try:
            refused = await _make(source)
            claimed = await slots.claim(due)
        finally:
            slots.due.settled(due)
        if not claimed:
            await source.forgo()
        elif refused:
            await deliver(functools.partial(slots.cannot_submit, due, refused), slots.log)
        else:
            await _run_claimed(slots, due, config, deployment, source)
    except EngineAway as error:
        slots.log.warning("run %s waits for a worker with a container engine: %s", due.id, error)
        slots.due.leave_alone(due, LEFT_ALONE)
    except Exception:
        slots.log.exception("run %s could not be taken", due.id)
        slots.due.leave_alone(due, LEFT_ALONE)
        await asyncio.shield(source.forgo())


async def _make(source: RunContainers) -> CannotContain | None:
    """What the engine has against its container. An engine that is away leaves the run unclaimed."""
    try:
        await source.make()
    except CannotContain as error:
        return error
    return None


async def _run_claimed(
    slots: Slots, due: Due, config: WarmConfiguration, deployment: Deployment | None, source: RunContainers
) -> None:
    slots.attempts.hold(due.id)
    try:
        await slots.sign(due.id, slots.labels(str(due.run["state"]["id"])))
        child = await source.take()
    except (CannotContain, ChildGone) as error:
        await deliver(functools.partial(slots.cannot_submit, due, error), slots.log)
    except Exception:
        await deliver(functools.partial(release, slots.api, due.run, "its container could not be started"), slots.log)
        raise
    else:
        await slots.to_its_end(due, config, deployment, child, source=source)
    finally:
        slots.attempts.let_go(due.id)
