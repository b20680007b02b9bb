"""Collecting: every job that failed for good gets its row in the ledger.

A tail over finished runs by their end, with an overlap, remembered in the ledger itself: what happened while the keeper or
the ledger was unavailable is found when it is back, and nothing is counted twice. What the tail cannot see, the audit finds.

Danger: the cursor moves only after every page was dead-lettered, and never beyond the present: an end that lies in the
future, by a clock that was put right since, must not hide those that follow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.labels import moment
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.dead_letters.ledger import Ledger, Recorded
from redrive.deployments.dead_letters.outcomes import outcome_of
from redrive.deployments.pools import is_job
from redrive.infra.keeper.dead_lettering import dead_letter

CURSOR = "collected"
#: A run's end is written by its transaction and seen when that commits: so far back a quick sweep reaches.
OVERLAP = timedelta(seconds=10)
#: And so far a thorough one, for commits that hung.
WIDE_OVERLAP = timedelta(minutes=10)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class Collector:
    """Brings final failures from Prefect into the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def sweep(self, *, wide: bool = False) -> list[Recorded]:
        """Dead-letter what failed since the last sweep; returns what was new or reopened."""
        stored = moment(self._ledger.cursor(CURSOR)) or BEGINNING
        # The server's clock may have been put back: what fails from now on ends before where the tail had come to.
        cursor = min(stored, SERVER_CLOCK.now())
        since = max(BEGINNING, cursor - (WIDE_OVERLAP if wide else OVERLAP))
        newest, rows = cursor, []
        for page in runs.pages(Wanted(types=["FAILED", "CANCELLED"], ended_after=since), Order.ENDED):
            dead = [run for run in page if is_job(run) and outcome_of(run.state_type, run.message) == "dead"]
            rows += dead_letter(self._ledger, dead).rows
            newest = max([newest, *(run.end_time for run in page if run.end_time)])
        newest = min(newest, SERVER_CLOCK.now())
        if newest > cursor or stored > cursor:
            self._ledger.set_cursor(CURSOR, newest.isoformat())
        return rows
