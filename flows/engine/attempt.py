"""One attempt of a job: what earlier attempts left in the run's labels, and what its steps do now.

Danger: labels are merged by the server, not compared; only the process that runs the job, or whoever holds the rescue lock,
writes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import Abort

from redrive.blocks.core.decision import Decision, RetryAt
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_labels import (
    CRASHES,
    FIRST_FAILURE,
    FIRST_START,
    KEY,
    RETRIES,
    TRIES,
    death_to_count,
    fresh_count,
    moment,
)
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.process import attempt_notes
from redrive.blocks.process.attempt_notes import announce_spent
from redrive.blocks.retry_policy import effective_policy
from redrive.deployments.job_type import JobType
from redrive.flows.engine.superseded import history_of, latest_attempt, require_current

#: Seconds of the shortest lease: a worker's heartbeats are a second apart at least, and three fit into it.
SHORTEST_LEASE = 3.0
#: Seconds that a try waits for the API to take in how many were spent before it.
ANNOUNCED = 3.0


@dataclass
class Attempt:
    """What is running now.

    Attributes:
        id: the flow run's id. key: the job's idempotency key, else the run id; put it into effects so they happen once.
        tries: tries spent by earlier attempts. crashes: process deaths so far.
        retries: tries of any step that were followed by another one, as the labels tell; those since are noted.
        first_start: first start, or first start after the last redrive.
    """

    id: UUID
    key: str
    job: JobType
    policy: RetryPolicy
    tries: int = 0
    crashes: int = 0
    retries: int = 0
    first_start: datetime = field(default_factory=SERVER_CLOCK.now)
    first_failure: datetime | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    #: False for a job called as a plain function or inside another flow: nobody would start it again, so it just raises.
    can_leave: bool = True
    #: The Pending state that began this attempt; None if the run was never claimed.
    claim: str | None = None
    #: The Running state in which it began.
    running: str | None = None
    _failed_steps: list[tuple[BaseException, int, str]] = field(default_factory=list)
    _spent: dict[str, int] = field(default_factory=dict)
    #: One entry for each: steps run side by side, and a list takes what several threads add.
    _retried: list[str] = field(default_factory=list)
    _began: float = field(default_factory=lambda: time.clock_gettime(time.CLOCK_BOOTTIME))

    def require_current(self) -> None:
        """Before anything is reported: raises `Superseded` if another attempt holds the run.

        Nobody takes a run away within the shortest lease, so a quick job need not ask; time that the machine slept counts.
        """
        if time.clock_gettime(time.CLOCK_BOOTTIME) - self._began >= SHORTEST_LEASE:
            require_current(self.id, self.claim, self.running)

    def counted(self, decision: Decision, now: datetime) -> dict[str, Any]:
        """The labels that carry what was decided at `now` to the next attempt, or to whoever reads a dead letter."""
        labels: dict[str, Any] = {TRIES: decision.tries, FIRST_START: self.first_start.isoformat()}
        another = isinstance(decision, RetryAt) and decision.tries > self.tries
        labels[RETRIES] = self.retries + len(self._retried) + (1 if another else 0)
        if decision.tries > self.tries:
            labels[FIRST_FAILURE] = (self.first_failure or now).isoformat()
        return labels

    @property
    def number(self) -> int:
        """Which try this is, counted from 1."""
        return self.tries + 1

    def note_retry(self, what: str, *, step: str, spent: int) -> None:
        """A try failed and another one follows in this process: `spent` tries of `step`, whatever becomes of process and worker."""
        self._retried.append(what)
        self.spend(step, spent)

    def spend(self, step: str, spent: int) -> None:
        """So many tries of a step are spent; 0 when it is done. The worker hears of it, and the run's labels say so.

        The worker writes them when the process dies; should both die, nobody is left who knows.
        """
        announce_spent(step, spent)
        self._spent[step] = spent
        if not self.can_leave:
            return
        most = max(self.tries, *self._spent.values())
        try:
            with reachable(ANNOUNCED):
                self.require_current()
                ask(requests.label(self.id, {TRIES: most, RETRIES: self.retries + len(self._retried)}))
        except (Exception, Abort):  # noqa: BLE001  (the worker knows too, and an attempt that lost its run hears of it at its end)
            return

    @property
    def untold(self) -> dict[str, Any]:
        """The labels that a job which completes has yet to write: none for most."""
        return {RETRIES: self.retries + len(self._retried)} if self._retried else {}

    def note_failed_step(self, error: BaseException, *, executions: int, step: str) -> None:
        """A step raised `error` in its `executions`-th execution of this attempt."""
        self._failed_steps.append((error, executions, step))

    def failed_step(self, error: BaseException) -> tuple[int, str | None]:
        """Executions and name of the step that `error` comes from; one execution and None if the job's own body raised it."""
        chain = set(_chain(error))
        for noted, executions, step in reversed(self._failed_steps):
            if id(noted) in chain:
                return executions, step
        return 1, None


_current: ContextVar[Attempt | None] = ContextVar("redrive_attempt", default=None)


def current_attempt() -> Attempt | None:
    """The attempt this code runs in; None outside of a job."""
    return _current.get()


@dataclass(frozen=True)
class CurrentJob:
    """The running job: `id` of the run, `key` to put into effects, `name` of the job type, `number` of the try."""

    id: str
    key: str
    name: str
    number: int


def current_job() -> CurrentJob:
    """The job this code runs in; outside of one, a stand-in with the id and key `none`."""
    attempt = _current.get()
    if attempt is None:
        return CurrentJob(id="none", key="none", name="none", number=1)
    return CurrentJob(id=str(attempt.id), key=attempt.key, name=attempt.job.name, number=attempt.number)


@contextmanager
def attempt_of(job: JobType) -> Iterator[Attempt | None]:
    """The attempt for the flow run that is starting here."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield None
        return
    attempt = _begin(job, context.flow_run, context.parameters or {})
    token = _current.set(attempt)
    try:
        yield attempt
    finally:
        _current.reset(token)


def _begin(job: JobType, run: FlowRun, parameters: dict[str, Any]) -> Attempt:
    labels = dict(run.labels)
    key = str(labels.get(KEY) or run.idempotency_key or run.id)
    # A flow called inside another one has a run but no deployment: nobody would start it again.
    can_leave = run.deployment_id is not None
    attempt = Attempt(id=run.id, key=key, job=job, policy=job.policy, parameters=parameters, can_leave=can_leave)
    if not can_leave:
        return attempt
    attempt.policy = effective_policy(job.name, job.policy)
    attempt.claim = attempt_notes.attempt()
    attempt.running = str(run.state.id) if run.state is not None and run.state.is_running() else None
    is_first = (run.run_count or 0) <= 1
    if is_first and attempt.claim:
        return attempt
    history = history_of(run.id)
    attempt.claim = attempt.claim or latest_attempt(history)
    if is_first:
        return attempt
    if death := death_to_count(history, labels):
        # Somebody pressed Retry in Prefect's UI: that is a redrive, and counts afresh.
        ask(requests.label(run.id, fresh_count(SERVER_CLOCK.now(), death=death)))
        return attempt
    attempt.tries = int(labels.get(TRIES) or 0)
    attempt.crashes = int(labels.get(CRASHES) or 0)
    attempt.retries = int(labels.get(RETRIES) or 0)
    attempt.first_failure = moment(labels.get(FIRST_FAILURE))
    attempt.first_start = moment(labels.get(FIRST_START)) or run.start_time or attempt.first_start
    return attempt


def _chain(error: BaseException) -> Iterator[int]:
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield id(one)
            todo += [one.__cause__, one.__context__]
            if isinstance(one, BaseExceptionGroup):
                todo += one.exceptions
