"""A job that was accepted: wait until it ended, and read what it returned.

Danger: a result lies where the workers keep it, and may need the job's own code to be read.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from uuid import UUID

from redrive.blocks.core.errors import JobFailed, NotFound
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import COMPLETED, CRASHED, FINAL, PastState

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

R = TypeVar("R")

#: Seconds a crash may stand before it counts as an end: the keeper starts such a job again, or makes it a dead letter, well before.
CRASH_STANDS = 120.0
#: Seconds the API may be silent while somebody waits for a job: a restart of the server is no reason to give up.
WAITING = 60.0
#: Seconds between two questions for a job that is waited for.
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Accepted(Generic[R]):
    """A job that Prefect's database holds now: it will end Completed, Cancelled by a person, or as a dead letter.

    Attributes:
        id: the flow run.
        job: name of the job type.
        name: the run's name.
        key: the idempotency key, if one was given.
        new: False if a job with this key was there already.
        due: when it may start.
    """

    id: UUID
    job: str
    name: str
    key: str | None
    new: bool
    due: datetime | None

    def result(self, timeout: float | None = None) -> R:
        """What the job returned, once it completed.

        Args:
            timeout: seconds to wait; without one, as long as it takes.

        Raises:
            JobFailed: it ended as a dead letter, or was cancelled.
            TimeoutError: it did not end in time; it goes on.
            NotFound: there is no such job (any more).
        """
        from redrive.deployments.job_result import stored_result  # noqa: PLC0415  (as below)

        state = PastState.of(wait_for_end(self.id, timeout)["state"])
        if state.type != COMPLETED:
            raise JobFailed(
                f"{self.job} job {self.name} ({self.id}) ended {state.name}"
                + (f": {state.message}" if state.message else ""),
                id=self.id,
                state=state.name,
            )
        return cast("R", stored_result(state))

    async def aresult(self, timeout: float | None = None) -> R:  # noqa: ASYNC109  (as `result`, in a thread)
        """`result` for asynchronous code."""
        return await asyncio.to_thread(self.result, timeout)


def wait_for(job_id: UUID, *, timeout: float | None = None) -> FlowRun:
    """The run once it ended for good (a wait for the next try is no end).

    Raises:
        TimeoutError: it did not end within `timeout` seconds; it goes on.
        NotFound: there is no such job (any more).
    """
    from prefect.client.schemas.objects import FlowRun  # noqa: PLC0415  (two seconds; whoever waits for a job has them)

    return FlowRun.model_validate(wait_for_end(job_id, timeout))


def wait_for_end(job_id: UUID, timeout: float | None = None) -> Json:
    """As `wait_for`, the run as the API has it: without Prefect's import, which takes two seconds."""
    # What talks to Prefect: whoever imports this waits later, if ever.
    from redrive.blocks.prefect.client import Missing, ask, reachable  # noqa: PLC0415
    from redrive.blocks.prefect.requests import runs  # noqa: PLC0415

    give_up = None if timeout is None else time.monotonic() + timeout
    with reachable(WAITING):
        while True:
            try:
                run = ask(runs.read(job_id))
            except Missing:
                raise NotFound(f"there is no job {job_id}; was its deployment deleted?") from None
            state = run.get("state")
            if state and has_ended(state["type"], PastState.of(state).timestamp):
                return run
            if give_up is not None and time.monotonic() > give_up:
                detail = state["name"] if state else "unknown"
                raise TimeoutError(
                    f"job {run.get('name')} ({job_id}) is still {detail} after {timeout:g} s; it goes on"
                )
            time.sleep(POLL_SECONDS)


def has_ended(state_type: str, since: datetime) -> bool:
    """Whether a job has ended for good; one that crashed just now is started again, or becomes a dead letter.

    Args:
        state_type: type of its state.
        since: time of its state, by the server's clock.
    """
    if state_type == CRASHED:
        return (SERVER_CLOCK.now() - since).total_seconds() > CRASH_STANDS
    return state_type in FINAL
