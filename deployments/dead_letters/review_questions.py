"""Questions: reviews that are suspended until a person decides. One that nobody answers is withdrawn and ends quietly.

Prefect would end an expired suspension as Failed: a red run, and an alarm, because nobody had an opinion. So reviews are
suspended without a timeout of Prefect's, and end here.

Danger: an answer that comes in the same moment as the withdrawal may be lost, and is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import api
from redrive.blocks.prefect.server_clock import SERVER_CLOCK

#: Name of the job type that asks.
REVIEW = "dead-letter-review"
#: How long a question stays open.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """A review that nobody answered."""

    run_id: UUID
    asked: datetime


def open_questions() -> list[FlowRun]:
    """Reviews that wait for an answer."""
    return api().read_flow_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": [REVIEW]}}),
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["PAUSED"]}}}),
    )


def withdraw(run: FlowRun, why: str) -> bool:
    """Cancel a review that still waits; whether it did."""
    return bool(runs.transition(run.id, Cancelled(message=why), only_from=["PAUSED"]))


def withdraw_unanswered(patience: timedelta = PATIENCE) -> list[Withdrawn]:
    """Withdraw the questions that are older than `patience`."""
    hours = patience.total_seconds() / 3600
    why = f"nobody decided within {hours:g} h; run {REVIEW} again to decide, a report comes every hour"
    withdrawn = []
    for run in open_questions():
        asked = run.state.timestamp if run.state else None
        if asked is not None and SERVER_CLOCK.now() - asked >= patience and withdraw(run, why):
            withdrawn.append(Withdrawn(run_id=run.id, asked=asked))
    return withdrawn
