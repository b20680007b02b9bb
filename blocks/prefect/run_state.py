"""Changing a run's state from outside, the way that keeps it startable.

Danger: leaving a final state without force makes Prefect mark the run for any worker ("reschedule"); with force it would stay
marked for the process that had it, and no worker would ever take it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from redrive.blocks.core.errors import Conflict
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.fast_calls import ask_fast
from redrive.blocks.prefect.labels import NOBODY
from redrive.blocks.prefect.requests import fast
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.states import AWAITING_RETRY, DEAD, SCHEDULED, state
from redrive.blocks.prefect.wait import Wait


def forget_process(run_id: UUID, state_id: UUID, labels: Mapping[str, Any] | None = None) -> None:
    """Before a run waits: nobody has it. Once it waits, a worker may take it and write its own name and pid.

    With the old pid still on it, cancelling would hang until that pid answers; with the old worker still on it, the keeper
    would call it lost in the moment between Pending and the next worker's signature. Further `labels` cost no call of their own.

    Raises:
        Conflict: it is not in the state `state_id`, in which it was read; nothing was written. Prefect's plain server takes no
            such condition: there it is asked right before, and a warm worker that was quicker in between signs again.
    """
    wanted = {**NOBODY, **(labels or {})}
    forgotten = ask_fast(fast.forget(run_id, state_id, wanted))
    if not forgotten:
        require_state(run_id, state_id)
    if forgotten is None:
        ask(requests.forget_pid(run_id))
        ask(requests.label(run_id, wanted))
    elif not forgotten:
        raise Conflict(f"run {run_id} was acted on meanwhile")


def require_state(run_id: UUID, state_id: UUID) -> None:
    """Right before something is written on a run that was read a while ago: whoever has it by now has signed it.

    Raises:
        Conflict: it is in another state.
    """
    now = runs.by_id([run_id]).get(run_id)
    if now is None or now.state_id != state_id:
        raise Conflict(f"run {run_id} was acted on meanwhile, it is {now.state_name if now else 'deleted'}")


def start_again(
    run_id: UUID,
    *,
    state_id: UUID,
    at: datetime,
    told: datetime,
    message: str,
    retrying: bool,
    labels: Mapping[str, Any] | None = None,
    only_from: Collection[str] = DEAD,
) -> None:
    """Make a run that ended wait for a start at `at`, as AwaitingRetry or, after a redrive, as Scheduled.

    `labels` are written on it before; nothing is, unless it still is in the state `state_id`, in which it was read. `told` is the
    server's time as it was known when `at` was decided.

    Raises:
        Conflict: it is in another state by now, because somebody was quicker, or the server refuses.
    """
    wanted = state(SCHEDULED, name=AWAITING_RETRY if retrying else None, message=message, at=at)
    forget_process(run_id, state_id, {**(labels or {}), **Wait.until(at, told=told).label})
    done = runs.transition(run_id, wanted, only_from=only_from, state_id=state_id)
    if not done:
        raise Conflict(f"run {run_id} cannot be started again: {done.refused}")
