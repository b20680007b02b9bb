"""Changing a run's state from outside, the way that keeps it startable.

Danger: leaving a final state without force makes Prefect mark the run for any worker ("reschedule"); with force it would stay
marked for the process that had it, and no worker would ever take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.states import AwaitingRetry, Scheduled

from redrive.blocks.errors import Conflict
from redrive.blocks.prefect_api import api
from redrive.deployments.run_labels import WORKER


def set_state(run_id: UUID, state: State[Any], *, force: bool) -> bool:
    """Set a run's state; whether the server took it."""
    return api().set_flow_run_state(run_id, state, force=force).status.value == "ACCEPT"


def forget_process(run_id: UUID, labels: Mapping[str, Any] | None = None) -> None:
    """Before a run waits: nobody has it. Once it waits, a worker may take it and write its own name and pid.

    With the old pid still on it, cancelling would hang until that pid answers; with the old worker still on it, the keeper
    would call it lost in the moment between Pending and the next worker's signature. Further `labels` cost no call of their own.
    """
    api().request("PATCH", "/flow_runs/{id}", path_params={"id": run_id}, json={"infrastructure_pid": None})
    api().update_flow_run_labels(run_id, {WORKER: "", **(labels or {})})


def start_again(
    run_id: UUID, *, at: datetime, message: str, retrying: bool, labels: Mapping[str, Any] | None = None
) -> None:
    """Make a run that ended wait for a start at `at`, as AwaitingRetry or, after a redrive, as Scheduled.

    `labels` are written on it before.

    Raises:
        Conflict: the server refuses, for instance because the run completed in the meantime.
    """
    state: State[Any] = (AwaitingRetry if retrying else Scheduled)(scheduled_time=at, message=message)
    forget_process(run_id, labels)
    answer = api().set_flow_run_state(run_id, state, force=False)
    if answer.status.value != "ACCEPT":
        why = getattr(answer.details, "reason", None) or answer.status.value
        raise Conflict(f"run {run_id} cannot be started again: {why}")
