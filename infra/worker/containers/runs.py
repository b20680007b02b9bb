"""A run in a container of its own, from the claim to its end: what is different there.

The container is made before the run is claimed, so that an engine that is unavailable leaves the run to other workers; it starts after the
run was signed, as that takes seconds and the keeper must know who has it.

Danger: nothing may be raised out of here: the slot has given its warm child back, and would do so again.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass

from redrive.blocks.process.container_engine import CannotContain, EngineUnavailable
from redrive.infra.worker.claims import Claims, Job
from redrive.infra.worker.conclusion import release
from redrive.infra.worker.containers.containers import RunContainers
from redrive.infra.worker.delivery import deliver
from redrive.infra.worker.due import LEFT_ALONE, DueRuns
from redrive.infra.worker.execution import Execution
from redrive.infra.worker.job_process import ChildGone
from redrive.infra.worker.job_template import WarmConfiguration
from redrive.infra.worker.log import Log


@dataclass(frozen=True, kw_only=True)
class ContainedRun:
    """One of them, with the parts it works with."""

    job: Job
    settings: WarmConfiguration
    source: RunContainers
    due: DueRuns
    claims: Claims
    execution: Execution
    log: Log

    async def run(self) -> None:
        """Claim it and run it, to its end."""
        due = self.job.due
        try:
            try:
                refused = await self._make()
                claimed = await self.claims.claim(due)
            finally:
                self.due.settled(due)
            if not claimed:
                await self.source.forgo()
            elif refused:
                await deliver(functools.partial(self.claims.cannot_submit, due, refused), self.log)
            else:
                await self._run_claimed()
        except EngineUnavailable as error:
            self.log.warning("run %s waits for a worker with a container engine: %s", due.id, error)
            self.due.leave_alone(due, LEFT_ALONE)
        except Exception:
            self.log.exception("run %s could not be taken", due.id)
            self.due.leave_alone(due, LEFT_ALONE)
            await asyncio.shield(self.source.forgo())

    async def _make(self) -> CannotContain | None:
        """What the engine has against its container. An engine that is unavailable leaves the run unclaimed."""
        try:
            await self.source.make()
        except CannotContain as error:
            return error
        return None

    async def _run_claimed(self) -> None:
        due, attempts = self.job.due, self.execution.attempts
        attempts.hold(due.id)
        try:
            await self.claims.sign(due.id, self.claims.labels(str(due.run["state"]["id"])))
            child = await self.source.take()
        except (CannotContain, ChildGone) as error:
            await deliver(functools.partial(self.claims.cannot_submit, due, error), self.log)
        except Exception:
            why = "its container could not be started"
            await deliver(functools.partial(release, self.claims.api, due.run, why), self.log)
            raise
        else:
            await self.execution.to_its_end(due, self.settings, self.job.deployment, child, source=self.source)
        finally:
            attempts.let_go(due.id)
