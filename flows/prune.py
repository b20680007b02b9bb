"""Prune: finished runs and closed dead letters older than the retention are deleted; open dead letters are never touched.

Only runs of our own pools, and only what is settled: what completed or was cancelled by a person, and failures that the ledger
knows and somebody dealt with. A failure without a row stays until the audit has found it. The call that deletes repeats the
conditions, so a run that was retried meanwhile is not deleted.

Danger: what is deleted is gone, and with it the idempotency keys of those runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.logging import get_run_logger
from pydantic import BaseModel

from redrive.blocks.core.counted import counted
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.deployments.catalog import job_type
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.outcomes import outcome_of
from redrive.deployments.pools import is_job, pools
from redrive.flows.engine.job import job, step

PRUNE = job_type("prune")

FINISHED = ["COMPLETED", "CANCELLED", "CRASHED", "FAILED"]
#: Ends that need nobody.
SETTLED = ("completed", "cancelled")


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
    deleted = 0
    with Ledger(settings().ledger_url()) as ledger:
        for page in runs.pages(Wanted(types=FINISHED, pools=pools(), ended_before=before), Order.ENDED):
            deleted += len(runs.delete_if(_settled(ledger, page), types=FINISHED, ended_before=before))
    return deleted


def _settled(ledger: Ledger, finished: Sequence[Run]) -> list[UUID]:
    """Those of the runs that nobody needs any more."""
    needed = ledger.unsettled([run.id for run in finished])
    failed = {
        run.state_id for run in finished if is_job(run) and outcome_of(run.state_type, run.message) not in SETTLED
    }
    collected = ledger.known(failed)
    return [
        run.id for run in finished if run.id not in needed and (run.state_id not in failed or run.state_id in collected)
    ]
