"""Questions: reviews that are suspended until a person decides. One that nobody answers is withdrawn and ends quietly.

Prefect would end an expired suspension as Failed: a red run, and an alarm, because nobody had an opinion. So reviews are
suspended without a timeout of Prefect's, and end here.

Danger: an answer that comes in the same moment as the withdrawal may be lost, and is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import CANCELLED, PAUSED, state

#: Name of the job type that asks.
REVIEW = "dead-letter-review"
#: How long a question stays open.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """A review that nobody answered."""

    run_id: UUID
    asked: datetime


def open_questions() -> list[Run]:
    """Reviews that wait for an answer."""
    wanted = Wanted(types=[PAUSED], jobs=[REVIEW], deployed=False)
    return [run for page in runs.pages(wanted, Order.EXPECTED) for run in page]


def withdraw(run: Run, why: str) -> bool:
    """Cancel a review that still waits; whether it did."""
    return bool(runs.transition(run.id, state(CANCELLED, message=why), only_from=[PAUSED]))


def withdraw_unanswered(patience: timedelta = PATIENCE) -> list[Withdrawn]:
    """Withdraw the questions that are older than `patience`."""
    hours = patience.total_seconds() / 3600
    why = f"nobody decided within {hours:g} h; run {REVIEW} again to decide, a report comes every hour"
    return [
        Withdrawn(run_id=run.id, asked=run.since)
        for run in open_questions()
        if SERVER_CLOCK.now() - run.since >= patience and withdraw(run, why)
    ]
