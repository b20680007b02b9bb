"""Finished jobs: a tail over the runs that ended, which counts each end once.

Completed and cancelled jobs are counted here; dead letters are counted where they are recorded. The tail overlaps the one
before, because a run's end is written by its transaction and seen when that commits. What commits later still is found by
comparing numbers: how many ends the server knows of the last minutes, and how many were looked at. Numbers may be equal by
chance, so now and then those minutes are swept whatever they say.

Danger: the cursor moves only when every page was counted, and never beyond the server's own clock: an end that lies in the
future, by a clock that was put right since, must not hide those that follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from redrive.blocks.core.pool_names import OPS
from redrive.blocks.prefect.flow_names import FlowNames
from redrive.blocks.prefect.requests import runs
from redrive.dashboards.exporter.prefect import PrefectApi
from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind
from redrive.deployments.dead_letters.outcomes import Spent, outcome_of

#: Prefect's own limit of runs a call.
PAGE = 200
#: So far back a quick look reaches.
OVERLAP = timedelta(seconds=10)
#: And so far the comparison of numbers, and the sweep that follows if they differ.
WIDE_OVERLAP = timedelta(minutes=10)
#: Every so many comparisons the sweep follows without one.
CERTAIN = 10

ENDED = {"type": {"any_": ["COMPLETED", "CANCELLED"]}}


class Tail:
    """Counts what ended since it last looked."""

    def __init__(self, api: PrefectApi, counts: Counts, names: FlowNames) -> None:
        self._api = api
        self._counts = counts
        self._names = names
        self._began: datetime | None = None
        self._comparisons = 0

    def sweep(self, *, reach: timedelta = OVERLAP) -> int:
        """Count everything that ended up to now and was not counted; returns how many jobs that were."""
        cursor = self._counts.cursor()
        if cursor is None:
            # Somebody took it away by hand: begin here, as with a new database.
            cursor = self._api.now()
        # The server's clock may have been put back: what ends from now on lies before where it had come to.
        cursor = min(cursor, self._api.now())
        counted, newest = 0, cursor
        pages = self._pages(self._not_before_counting(cursor - reach))
        page = next(pages, None)
        while page is not None:
            following = next(pages, None)
            ends = [datetime.fromisoformat(run["end_time"]) for run in page]
            newest = max([newest, *(end for end in ends if end <= self._api.now())])
            finishes = [finish for run in page if (finish := self._finish(run)) is not None]
            counted += self._counts.count(
                finishes,
                seen=[(UUID(run["id"]), end) for run, end in zip(page, ends, strict=True)],
                cursor=newest if following is None else None,
            )
            page = following
        return counted

    def reconcile(self) -> int:
        """Compare how many ended with how many were looked at, and sweep widely if they differ; returns how many had been missed."""
        cursor = self._counts.cursor()
        if cursor is None:
            return 0
        since, until = self._not_before_counting(cursor - WIDE_OVERLAP), cursor - OVERLAP
        self._counts.forget(cursor)
        self._comparisons += 1
        certain = self._comparisons % CERTAIN == 0
        if since >= until or (
            not certain and self._api.count(_ended(since, until)) == self._counts.known_between(since, until)
        ):
            return 0
        return self.sweep(reach=WIDE_OVERLAP)

    def _not_before_counting(self, since: datetime) -> datetime:
        if self._began is None:
            self._began = self._counts.began()
        return max(since, self._began) if self._began else since

    def _pages(self, since: datetime) -> Iterator[list[dict[str, Any]]]:
        """Pages of ended runs, the latest first.

        Each begins at the end where the one before stopped, without the runs seen at that very end; not at a number of runs: were
        a run redriven meanwhile, a number would skip another one.
        """
        until: datetime | None = None
        seen: list[str] = []
        while True:
            body = {"flow_runs": _ended(since, until, but=seen), "sort": "END_TIME_DESC", "limit": PAGE}
            page = self._api.ask(runs.find(body))
            if page:
                self._names.learn(run["flow_id"] for run in page)
                yield page
            if len(page) < PAGE:
                return
            last = datetime.fromisoformat(page[-1]["end_time"])
            at_last = [run["id"] for run in page if datetime.fromisoformat(run["end_time"]) == last]
            until, seen = last, at_last + (seen if last == until else [])

    def _finish(self, run: dict[str, Any]) -> Finish | None:
        state = run["state"]
        status = outcome_of(state["type"], state.get("message") or "")
        if status not in {"completed", "cancelled"} or run.get("work_pool_name") == OPS:
            return None
        spent = Spent.of(run)
        return Finish(
            run_id=UUID(run["id"]),
            at=datetime.fromisoformat(run["end_time"]),
            status=status,
            kind=Kind(queue=run.get("work_queue_name") or "default", job=self._names[run["flow_id"]]),
            retries=spent.retries,
            rescues=spent.rescues,
            since=spent.since,
            ran=spent.ran,
            waited=spent.waited,
        )


def _ended(since: datetime, until: datetime | None, *, but: Sequence[str] = ()) -> dict[str, Any]:
    times = {"after_": since.isoformat()} | ({"before_": until.isoformat()} if until else {})
    others: dict[str, Any] = {"id": {"not_any_": list(but)}} if but else {}
    return {"state": ENDED, "end_time": times, "deployment_id": {"is_null_": False}, **others}
