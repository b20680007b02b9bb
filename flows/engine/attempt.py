"""One attempt of a job: what earlier attempts left in the run's labels, and what its steps do now.

Danger: labels are merged by the server, not compared; only the process that runs the job, or whoever holds the rescue lock,
writes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.exceptions import Abort

from redrive.blocks.core.decision import Decision, RetryAt, after_failure
from redrive.blocks.core.errors import Snooze
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_labels import FIRST_FAILURE, FIRST_START, RETRIES
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.blocks.process.attempt_notes import announce_spent
from redrive.blocks.process.spent_notes import SpentNotes
from redrive.deployments.job_type import JobType
from redrive.flows.engine.causes_of import causes_of
from redrive.flows.engine.failed_tries import FailedTries
from redrive.flows.engine.origin import Origin
from redrive.flows.engine.superseded import require_current

#: Seconds of the shortest lease: a worker's heartbeats are a second apart at least, and three fit into it.
SHORTEST_LEASE = 3.0
#: Seconds that a try waits for the API to take in how many were spent before it.
ANNOUNCED = 3.0


@dataclass(frozen=True)
class FailedStep:
    """What failed, and in which of its executions of this attempt; by default the job's own body, in its first.

    Attributes:
        executions: of the step in this attempt so far.
        name: of the step; None for the job's body.
        own: the step's policy, if it has one of its own.
    """

    executions: int = 1
    name: str | None = None
    own: RetryPolicy | None = None

    @property
    def counted_apart(self) -> str | None:
        """Its name if its tries are counted apart from those of the job's other steps."""
        return self.name if self.own else None


@dataclass
class Attempt:
    """What is running now.

    Attributes:
        id: the flow run's id.
        key: the job's idempotency key, else the run id; put it into effects so they happen once.
        spent: tries that earlier attempts spent.
        crashes: process deaths so far.
        retries: tries of any step that were followed by another one, as the labels tell; those since are noted.
        first_start: first start, or first start after the last redrive.
    """

    id: UUID
    key: str
    job: JobType
    policy: RetryPolicy
    spent: SpentTries = field(default_factory=SpentTries)
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
    #: States of the run that are older than this attempt, though they have a later time: the server's clock was put back.
    before: frozenset[str] = frozenset()
    #: False where there is no server to tell.
    reports: bool = True
    #: Where it comes from, when it began, and the label that names the span of its last try.
    origin: Origin = field(default_factory=Origin)
    began: datetime = field(default_factory=SERVER_CLOCK.now)
    trace: dict[str, str] = field(default_factory=dict)
    #: The clock that waits and deadlines are told by.
    now: Callable[[], datetime] = SERVER_CLOCK.now
    #: Failed tries that Sentry is to be told of.
    failed_tries: FailedTries = field(default_factory=FailedTries)
    _failed_steps: list[tuple[BaseException, FailedStep]] = field(default_factory=list)
    #: By step: of those that follow the job's policy each run of a task, of others each name.
    _spent_here: dict[str, int] = field(default_factory=dict)
    _own_here: dict[str, int] = field(default_factory=dict)
    #: One entry for each: steps run side by side, and a list takes what several threads add.
    _retried: list[str] = field(default_factory=list)
    _began: float = field(default_factory=lambda: time.clock_gettime(time.CLOCK_BOOTTIME))

    def require_current(self) -> None:
        """Before anything is reported: raises `Superseded` if another attempt holds the run.

        Nobody takes a run away within the shortest lease, so a quick job need not ask; time that the machine slept counts.
        """
        if time.clock_gettime(time.CLOCK_BOOTTIME) - self._began >= SHORTEST_LEASE:
            require_current(self.id, self.claim, self.running, self.before)

    def decide(self, error: BaseException, *, draw: float) -> tuple[Decision, FailedStep]:
        """What follows a failed try by the policy of what failed.

        Args:
            error: what it raised.
            draw: random number in [0, 1) for the jitter.
        """
        failed = self.failed_step(error)
        decision = after_failure(
            failed.own or self.policy,
            error=error,
            tries=self.spent.of_step(failed.counted_apart) + (0 if isinstance(error, Snooze) else failed.executions),
            first_start=self.first_start,
            now=self.now(),
            draw=draw,
        )
        return decision, failed

    def waits_here(self, error: BaseException, failed: FailedStep, seconds: float) -> bool:
        """Whether the job's body is tried again in this process; steps wait by themselves, and what they leave is too long."""
        return failed.name is None and seconds <= self.policy.hold_slot and not isinstance(error, Snooze)

    def counted(self, decision: Decision, failed: FailedStep, now: datetime) -> dict[str, Any]:
        """The labels that carry what was decided at `now` to the next attempt, or to whoever reads a dead letter."""
        step = failed.counted_apart
        spent = decision.tries > self.spent.of_step(step)
        labels: dict[str, Any] = {**self.spent.labels(step, decision.tries), **self.trace}
        labels[FIRST_START] = self.first_start.isoformat()
        another = isinstance(decision, RetryAt) and spent
        labels[RETRIES] = self.retries + len(self._retried) + (1 if another else 0)
        if spent:
            labels[FIRST_FAILURE] = (self.first_failure or now).isoformat()
        return labels

    @property
    def number(self) -> int:
        """Which try this is, counted from 1."""
        return self.spent.shared + 1

    def note_retry(self, what: str, *, step: str, spent: int, own: bool = False) -> None:
        """A try failed and another one follows in this process: `spent` tries of `step`, whatever becomes of process and worker.

        Args:
            what: its name.
            step: the run of its task, or its name if it has a policy of its own.
            spent: tries of it, those of earlier attempts included.
            own: whether it has one.
        """
        self._retried.append(what)
        self.spend(step, spent, own=own)

    def spend(self, step: str, spent: int, *, own: bool = False) -> None:
        """So many tries of a step are spent; 0 when it is done. The worker hears of it, and the run's labels say so.

        The worker writes them when the process dies. Should both die while the API is unavailable, a note on this machine is left.
        """
        announce_spent(step, spent, own=own)
        (self._own_here if own else self._spent_here)[step] = spent
        if not (self.can_leave and self.reports):
            return
        labels = self.spent.with_(self._spent_here, self._own_here).labels()
        labels[RETRIES] = self.retries + len(self._retried)
        try:
            with reachable(ANNOUNCED):
                self.require_current()
                ask(requests.label(self.id, labels))
        except Abort:
            # It lost its run, which it hears of at its end.
            return
        except Exception:  # noqa: BLE001  (the worker knows too)
            if self.claim and (notes := SpentNotes.here()):
                notes.note(str(self.id), self.claim, labels)

    @property
    def unwritten(self) -> dict[str, Any]:
        """The labels that a job which completes has yet to write: none for most."""
        return {RETRIES: self.retries + len(self._retried)} if self._retried else {}

    def note_failed_step(self, error: BaseException, failed: FailedStep) -> None:
        """A step raised `error`."""
        self._failed_steps.append((error, failed))

    def failed_step(self, error: BaseException) -> FailedStep:
        """The step that `error` comes from; the job's own body if none of them raised it."""
        chain = set(causes_of(error))
        return next((failed for noted, failed in reversed(self._failed_steps) if id(noted) in chain), FailedStep())


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
def running(attempt: Attempt) -> Iterator[None]:
    """What runs inside is of this attempt."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)
