"""Resolving: rows of redriven jobs close when the job completes, and follow what people do in Prefect's own UI.

Danger: open rows are looked at in turns, a page a sweep, so that the cost does not grow with them; a retry pressed in
Prefect's UI on an old row is noticed a few sweeps later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import REPLACED_BY
from redrive.blocks.prefect.runs import PAGE, by_id
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger

#: From claiming a row to starting its run takes a redrive well under a second; seconds after which it was cut off in between.
CUT_OFF = 120.0

#: Who acted, where it was not one of our commands.
IN_PREFECT = "somebody in Prefect"


class Resolver:
    """Compares rows with what became of their runs."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        #: Rows that are claimed and not started: which claim it is, and since when this keeper sees it. The time that the row
        #: names is of whoever claimed it, on another host maybe, and clocks of two hosts are never compared.
        self._claimed: dict[UUID, tuple[datetime | None, float]] = {}
        self._place: dict[str, str | None] = {"redriven": None, "open": None}

    def sweep(self) -> list[DeadLetter]:
        """One page of redriven rows and one of open ones; returns the rows that were resolved."""
        redriven = self._ledger.redriven(limit=PAGE, cursor=self._place["redriven"])
        self._place["redriven"] = redriven.next
        resolved = self._follow_redriven(redriven.rows)
        unsettled = self._ledger.find(Filter(status="open"), limit=PAGE, cursor=self._place["open"])
        self._place["open"] = unsettled.next
        return resolved + self._follow_open(unsettled.rows)

    def _follow_redriven(self, rows: Sequence[DeadLetter]) -> list[DeadLetter]:
        runs = by_id([row.outcome_run_id for row in rows])
        resolved: list[DeadLetter] = []
        for row in rows:
            try:
                resolved += self._follow(row, runs.get(row.outcome_run_id))
            except (Conflict, NotFound):
                # Somebody acted on the row since we read it; the next turn sees what it became.
                continue
        return resolved

    def _follow(self, row: DeadLetter, run: Run | None) -> list[DeadLetter]:
        if run is None:
            self._ledger.reopen(row.id, who="keeper", why="its run was deleted in Prefect before it ended")
            self._forget_replacement(row)
        elif run.state_type == "COMPLETED":
            return self._ledger.resolve(row.outcome_run_id)
        elif run.state_type == "CANCELLED":
            self._discard(row, run)
        elif run.state_id == row.dead_state_id and self._is_cut_off(row):
            why = f"{row.redriven_by} was cut off before the job was started"
            self._ledger.unclaim(row.id, who="keeper", why=why)
        elif run.state_id != row.dead_state_id:
            self._claimed.pop(row.id, None)
        return []

    def _is_cut_off(self, row: DeadLetter) -> bool:
        """Whether its claim has been seen for so long without its run having started."""
        now = self._clock()
        claim, since = self._claimed.get(row.id, (None, now))
        if claim != row.redriven_at:
            claim, since = row.redriven_at, now
        self._claimed[row.id] = (claim, since)
        if now - since <= CUT_OFF:
            return False
        del self._claimed[row.id]
        return True

    def _follow_open(self, rows: Sequence[DeadLetter]) -> list[DeadLetter]:
        runs = by_id([row.run_id for row in rows])
        resolved: list[DeadLetter] = []
        for row in rows:
            run = runs.get(row.run_id)
            if run is None or run.state_type in {"FAILED", "CRASHED"}:
                continue
            if run.state_type == "CANCELLED":
                # A run that Prefect cancelled for its missing deployment is what this row is about.
                if run.state_id != row.dead_state_id:
                    self._discard(row, run)
                continue
            try:
                self._ledger.claim_for_redrive(row.id, who=IN_PREFECT, why="retried in Prefect")
            except (Conflict, NotFound):
                # One of our own commands was quicker; it says who and why.
                continue
            if run.state_type == "COMPLETED":
                resolved += self._ledger.resolve(row.run_id)
        return resolved

    def _forget_replacement(self, row: DeadLetter) -> None:
        """The old run of a row whose new run is gone no longer names it."""
        if row.replaced_by_run_id is not None and row.run_id in by_id([row.run_id]):
            ask(requests.label(row.run_id, {REPLACED_BY: ""}))

    def _discard(self, row: DeadLetter, run: Run) -> None:
        try:
            why = run.message or "cancelled in Prefect"
            self._ledger.discard(row.id, who=IN_PREFECT, why=why, also_redriven=True)
        except (Conflict, NotFound):
            # Somebody acted on the row since we read it; the next turn sees what it became.
            return
