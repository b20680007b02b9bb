"""Prune: finished runs and closed dead letters older than the retention are deleted; open dead letters are never touched.

Danger: what is deleted is gone, and with it the idempotency keys of those runs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.logging import get_run_logger
from pydantic import BaseModel

from redrive.blocks.counted import counted
from redrive.blocks.prefect_api import api
from redrive.blocks.settings import settings
from redrive.deployments.catalog import job_type
from redrive.deployments.ledger import Ledger
from redrive.flows.job import job, step

PRUNE = job_type("prune")

#: Runs a call: Prefect's own limit for filtering and for bulk deletion.
PAGE = 200

FINISHED = ["COMPLETED", "CANCELLED", "CRASHED", "FAILED"]


class Pruned(BaseModel):
    """What was deleted, and the moment before which."""

    runs: int
    dead_letters: int
    before: datetime

    def summary(self) -> str:
        return f"{counted(self.runs, 'run')} and {counted(self.dead_letters, 'dead letter')} from before {self.before:%Y-%m-%d} deleted"


@job(PRUNE)
def prune(keep_days: float | None = None) -> Pruned:
    """Delete what is older than the retention.

    Args:
        keep_days: Days to keep; empty for the stack's own setting (REDRIVE_KEEP_DAYS).
    """
    before = datetime.now(UTC) - timedelta(days=keep_days if keep_days is not None else settings().keep_days)
    pruned = Pruned(dead_letters=prune_ledger(before), runs=prune_runs(before), before=before)
    get_run_logger().info(pruned.summary())
    return pruned


@step(PRUNE.policy, reuse=False)
def prune_ledger(before: datetime) -> int:
    """Delete resolved and discarded dead letters that were closed before a moment; returns how many."""
    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        return ledger.prune(before)


@step(PRUNE.policy, reuse=False)
def prune_runs(before: datetime) -> int:
    """Delete finished runs that ended before a moment, except those of unsettled dead letters; returns how many."""
    deleted = kept = 0
    with Ledger(settings().ledger_url()) as ledger:
        while page := _finished(before, offset=kept):
            spared = ledger.unsettled(page)
            doomed = [str(run) for run in page if run not in spared]
            kept += len(spared)
            if doomed:
                body = {"flow_runs": {"id": {"any_": doomed}}, "limit": PAGE}
                api().request("POST", "/flow_runs/bulk_delete", json=body)  # type: ignore[arg-type]  # newer than Prefect's own list of routes
                deleted += len(doomed)
    return deleted


def _finished(before: datetime, *, offset: int) -> list[UUID]:
    wanted: dict[str, Any] = {
        "flow_runs": {"end_time": {"before_": before.isoformat()}, "state": {"type": {"any_": FINISHED}}},
        "sort": "END_TIME_DESC",
        "limit": PAGE,
        "offset": offset,
    }
    return [UUID(run["id"]) for run in api().request("POST", "/flow_runs/filter", json=wanted).json()]
