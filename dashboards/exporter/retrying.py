"""Jobs that wait for a next try: their retries and rescues are counted now, not when they end hours later.

Danger: one page a poll, in turns, so that a poll costs the same however many wait. Nothing is lost by that: labels count on,
and what no look saw is counted when the job ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from redrive.blocks.core.pool_names import OPS
from redrive.blocks.prefect.flow_names import FlowNames
from redrive.blocks.prefect.requests import runs
from redrive.blocks.prefect.states import AWAITING_RETRY
from redrive.dashboards.exporter.prefect import PrefectApi
from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.dead_letters.ledger.finishes import InProgress, Kind
from redrive.deployments.dead_letters.outcomes import Spent

#: Prefect's own limit of runs a call.
PAGE = 200


class Retrying:
    """Counts the retries of waiting jobs."""

    def __init__(self, api: PrefectApi, counts: Counts, names: FlowNames) -> None:
        self._api = api
        self._counts = counts
        self._names = names
        self._place: datetime | None = None

    def sample(self) -> None:
        """Count one page of them."""
        wanted: dict[str, Any] = {
            "state": {"name": {"any_": [AWAITING_RETRY]}},
            "deployment_id": {"is_null_": False},
        }
        if self._place is not None:
            wanted["next_scheduled_start_time"] = {"after_": self._place.isoformat()}
        body = {"flow_runs": wanted, "sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": PAGE}
        page = self._api.ask(runs.find(body))
        self._names.learn(run["flow_id"] for run in page)
        self._counts.count(in_progress=[self._in_progress(run) for run in page if run.get("work_pool_name") != OPS])
        self._place = _next_place(page, self._place)

    def _in_progress(self, run: dict[str, Any]) -> InProgress:
        spent = Spent.of(run)
        return InProgress(
            run_id=UUID(run["id"]),
            kind=Kind(queue=run.get("work_queue_name") or "default", job=self._names[run["flow_id"]]),
            retries=spent.retries,
            rescues=spent.rescues,
            since=spent.since,
        )


def _next_place(page: list[dict[str, Any]], before: datetime | None) -> datetime | None:
    """Where the next poll goes on; None for the beginning."""
    last = page[-1].get("next_scheduled_start_time") if len(page) == PAGE else None
    place = datetime.fromisoformat(last) if last else None
    # A whole page with one time would hold the turn there for ever.
    return None if place == before else place
