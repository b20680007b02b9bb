"""Postponed runs: due at a time that the server told before its clock was put back, so that they would wait for as long as that step.

A state that was set in the future tells them. What was to start at once, or some time after a failed try, is due as soon as was
meant; what somebody asked for at a time of day stays at that time.

A page a sweep of those that are due next, and all further ones as long as there are any such among them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import PAGE, Order, Place, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, RETRYING, SCHEDULED, state
from redrive.deployments.pools import pools

#: A smaller step is waited for; and clocks of several API servers may differ by less.
STEP: Final = timedelta(minutes=1)
#: What is due so soon after it was asked for was to start at once.
AT_ONCE: Final = timedelta(seconds=5)
#: What a run says that was made due sooner: once is enough, also where the clocks of several API servers differ for long.
SOONER: Final = "due sooner, as the server's clock was put back"


class Postponed:
    """Makes them due when they were meant to be."""

    def __init__(self) -> None:
        self._place: Place | None = None

    def sweep(self) -> list[UUID]:
        """Judge the next page; returns which were made due sooner."""
        found: list[UUID] = []
        while True:
            wanted = Wanted(types=[SCHEDULED], pools=pools())
            page = runs.page(wanted, Order.DUE, after=self._place or Place(SERVER_CLOCK.now()), limit=PAGE)
            self._place = page.next
            postponed = [run for run in page.runs if is_postponed(run, SERVER_CLOCK.now())]
            found += [run.id for run in postponed if _made_due(run)]
            if page.next is None or not postponed:
                return found


def is_postponed(run: Run, now: datetime) -> bool:
    """Whether a waiting run was told its time by a clock that was put back since."""
    if run.scheduled is None or run.since <= now + STEP or run.message.endswith(SOONER):
        return False
    return run.state_name in {AWAITING_RETRY, RETRYING} or run.scheduled <= run.since + AT_ONCE


def _made_due(run: Run) -> bool:
    assert run.scheduled is not None  # noqa: S101  (what is postponed has one)
    name = run.state_name if run.state_name in {AWAITING_RETRY, RETRYING} else None
    at = SERVER_CLOCK.now() + max(timedelta(0), run.scheduled - run.since)
    message = f"{run.message}; {SOONER}".removeprefix("; ")
    sooner = state(SCHEDULED, name=name, message=message, at=at)
    return bool(runs.transition(run.id, sooner, only_from=[SCHEDULED], names=[run.state_name]))
