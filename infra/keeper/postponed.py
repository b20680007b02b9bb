"""Postponed runs: due at a time that the server told before its clock was put back, so that they would wait for as long as that step.

A state that was set in the future tells them; and a wait that is longer than its label says, where it was decided right before the
step and written right after it. What was to start at once, or some time after a failed try, is due as soon as was meant; what
somebody asked for at a time of day stays at that time.

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
            now = SERVER_CLOCK.now()
            postponed = [(run, at) for run in page.runs if (at := meant(run, now))]
            found += [run.id for run, at in postponed if _made_due(run, at)]
            if page.next is None or not postponed:
                return found


def meant(run: Run, now: datetime) -> datetime | None:
    """When a waiting run was to be due, if it waits longer only because the server's clock was put back.

    Either its state was set before that, or after it, with a time by the clock as it had been.
    """
    if run.scheduled is None or run.message.endswith(SOONER):
        return None
    wait = run.labels.wait
    told = wait.meant if wait is not None and wait.at == run.scheduled else None
    if run.since > now + STEP:
        waits = run.state_name in {AWAITING_RETRY, RETRYING} or run.scheduled <= run.since + AT_ONCE
        span = told if told is not None else run.scheduled - run.since if waits else None
        return None if span is None else now + max(timedelta(0), span)
    if told is not None and run.scheduled > run.since + told + STEP:
        return max(now, run.since + told)
    return None


def _made_due(run: Run, at: datetime) -> bool:
    name = run.state_name if run.state_name in {AWAITING_RETRY, RETRYING} else None
    message = f"{run.message}; {SOONER}".removeprefix("; ")
    sooner = state(SCHEDULED, name=name, message=message, at=at)
    return bool(runs.transition(run.id, sooner, only_from=[SCHEDULED], names=[run.state_name], state_id=run.state_id))
