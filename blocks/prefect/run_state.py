"""Changing a run's state from outside, the way that keeps it startable.

Danger: leaving a final state without force makes Prefect mark the run for any worker ("reschedule"); with force it would stay
marked for the process that had it, and no worker would ever take it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.states import AwaitingRetry, Scheduled

from redrive.blocks.core.errors import Conflict
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import api
from redrive.blocks.prefect.run_labels import ATTEMPT, WORKER

#: States of a job that failed: from no other is it started again.
DEAD = ("FAILED", "CRASHED")


def forget_process(run_id: UUID, labels: Mapping[str, Any] | None = None) -> None:
    """Before a run waits: nobody has it. Once it waits, a worker may take it and write its own name and pid.

    With the old pid still on it, cancelling would hang until that pid answers; with the old worker still on it, the keeper
    would call it lost in the moment between Pending and the next worker's signature. Further `labels` cost no call of their own.
    """
    api().request("PATCH", "/flow_runs/{id}", path_params={"id": run_id}, json={"infrastructure_pid": None})
    api().update_flow_run_labels(run_id, {WORKER: "", ATTEMPT: "", **(labels or {})})


def start_again(
    run_id: UUID,
    *,
    at: datetime,
    message: str,
    retrying: bool,
    labels: Mapping[str, Any] | None = None,
    only_from: Collection[str] = DEAD,
) -> None:
    """Make a run that ended wait for a start at `at`, as AwaitingRetry or, after a redrive, as Scheduled.

    `labels` are written on it before. Call it for a run that was just read: what a worker wrote since would be erased.

    Raises:
        Conflict: its state is none of `only_from` any more, because somebody was quicker, or the server refuses.
    """
    state: State[Any] = (AwaitingRetry if retrying else Scheduled)(scheduled_time=at, message=message)
    forget_process(run_id, labels)
    done = runs.transition(run_id, state, only_from=only_from)
    if not done:
        raise Conflict(f"run {run_id} cannot be started again: {done.refused}")
