"""People who press Retry, Cancel and redrive at random while everything else goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.states import AwaitingRetry

from redrive.blocks.core.errors import ApiUnavailable, RedriveError
from redrive.blocks.prefect.client import reachable
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.jobs.details import cancel_job, retry_now
from tests.chaos.background import Background
from tests.chaos.fault_stack import FaultStack
from tests.chaos.history import History
from tests.support.prefect_client import api

#: Seconds between two things that somebody does.
PACE = 0.7
#: States whose runs have a Retry button that operators press.
ENDED_BADLY = {"FAILED", "CRASHED"}


class People(Background):
    """Acts in a thread of its own until the block ends; every act and whether it was accepted is in the history."""

    def __init__(self, stack: FaultStack, history: History, jobs: Sequence[UUID], draw: random.Random) -> None:
        super().__init__(PACE)
        self._stack, self._history, self._jobs, self._draw = stack, history, list(jobs), draw
        self._target: UUID | None = None

    def act(self) -> None:
        self._target = None
        what, act = self._draw.choice(
            [
                ("retry", self._retry),
                ("cancel", self._cancel),
                ("redrive", self._redrive),
                ("retry now", self._retry_now),
            ]
        )
        self._do(what, act)

    def _do(self, what: str, act: Callable[[], bool]) -> None:
        try:
            with reachable():
                taken = act()
        except ApiUnavailable:
            # Asked for, and nobody knows whether it was done: it may have been.
            taken = self._target is not None
        except (RedriveError, httpx.HTTPError) as error:
            self._history.note("refused", what=what, job=self._target, why=str(error))
            return
        if taken and self._target is not None:
            self._history.act(what, self._target, taken=True)

    def _one(self) -> UUID:
        self._target = self._draw.choice(self._jobs)
        return self._target

    def _retry(self) -> bool:
        """The button of Prefect's UI, which forces."""
        one = self._one()
        run = api().read_flow_run(one)
        if run.state is None or run.state.type.value not in ENDED_BADLY:
            return False
        state = AwaitingRetry(scheduled_time=datetime.now(UTC), message="Retry from the UI")
        api().set_flow_run_state(one, state, force=True)
        return True

    def _cancel(self) -> bool:
        # Seldom, or nothing would be left to go wrong.
        if self._draw.random() > 0.3:
            return False
        cancel_job(self._one())
        return True

    def _redrive(self) -> bool:
        with self._stack.ledger() as ledger:
            rows = [row for row in ledger.find(Filter(status="open"), limit=50).rows if row.run_id in self._jobs]
            if not rows:
                return False
            row = self._draw.choice(rows)
            self._target = row.run_id
            redrive(ledger, row.id, who="somebody", why="try it")
            return True

    def _retry_now(self) -> bool:
        retry_now(self._one(), who="somebody")
        return True
