"""The audit: everything that ended badly is compared with the ledger by the id of its final state, however old it is.

It goes round and round over all such runs, a few pages a sweep; its place is kept in the ledger. In health it finds nothing: what
it finds, the tail and the rescue had missed, and that is a metric.

Danger: after an outage all that failed meanwhile is old, and the tail and the rescue have not seen it yet. A crash that the audit
took then would be a dead letter with its crash budget unspent. So a failure is left to them for as long after the outage, too.
"""

from __future__ import annotations

import time
from datetime import timedelta

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import PAGE, Order, Place, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.dead_letters.ledger import Ledger, Recorded
from redrive.deployments.dead_letters.outcomes import outcome_of
from redrive.deployments.pools import is_job
from redrive.infra.keeper.dead_lettering import dead_letter

CURSOR = "audited"
#: Pages a sweep reads at most.
PAGES = 5
#: How long a failure is left to the tail, and a crash to the rescue.
TAIL_GRACE = timedelta(minutes=1)
RESCUE_GRACE = timedelta(minutes=10)
#: Seconds without a sweep that worked after which there was an outage, of the keeper or of what it asks.
OUTAGE = 180.0


class Auditor:
    """Finds failures that the ledger does not know."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: What could not be given a row, in this round and in the one before.
        self._refused = 0
        self._refused_before = 0
        #: When the present time without an outage began, and the last sweep that worked, by the monotonic clock.
        self._awake_since = self._swept_at = time.monotonic()

    def sweep(self) -> list[Recorded]:
        """Compare the next few pages; returns the rows that had been missing."""
        now = time.monotonic()
        if now - self._swept_at > OUTAGE:
            self._awake_since = now
        awake = timedelta(seconds=now - self._awake_since)
        place = Place.read(self._ledger.cursor(CURSOR))
        wanted = Wanted(types=["FAILED", "CRASHED", "CANCELLED"])
        rows: list[Recorded] = []
        for _ in range(PAGES):
            page = runs.page(wanted, Order.EXPECTED, after=place, limit=PAGE)
            done = dead_letter(self._ledger, [run for run in page.runs if _is_overdue(run, awake)])
            rows += done.rows
            self._refused += len(done.refused)
            place = page.next
            if place is None:
                break
        self._ledger.set_cursor(CURSOR, place.text() if place else "")
        self._ledger.audited(found=len(rows), uncollected=max(self._refused, self._refused_before))
        if place is None:
            self._refused, self._refused_before = 0, self._refused
        self._swept_at = now
        return rows


def _is_overdue(run: Run, awake: timedelta) -> bool:
    if not is_job(run):
        return False
    crashed = run.state_type == "CRASHED"
    if not crashed and outcome_of(run.state_type, run.message) != "dead":
        return False
    grace = RESCUE_GRACE if crashed else TAIL_GRACE
    return awake >= grace and SERVER_CLOCK.has_passed(grace, since=run.since)
