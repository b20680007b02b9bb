"""What follows each try of a job's body: done, another one here after a wait, another one elsewhere, or a dead letter.

The same for plain and asynchronous functions, which differ only in how they call and wait.

Danger: a wait elsewhere leaves by Prefect's pause signal; nothing between it and the engine may catch `BaseException`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Abort, Pause
from prefect.logging import get_run_logger

from redrive.blocks.core.decision import GiveUp, RetryAt
from redrive.blocks.core.errors import ApiUnavailable, Conflict, Snooze
from redrive.blocks.core.patience import SERVICE
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.begun_run import leave_to_wait, note_completed
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_state import forget_process
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, DEAD_LETTER, RUNNING, SCHEDULED, state
from redrive.blocks.prefect.wait import Wait
from redrive.blocks.tracing.names import REASON
from redrive.blocks.tracing.switch import is_on
from redrive.deployments.catalog import catalog
from redrive.flows.engine.attempt import Attempt, FailedStep
from redrive.flows.engine.failed_try import note_failed_try
from redrive.flows.engine.failure import fingerprint_of, report_failure, verdict_labels
from redrive.flows.engine.listeners import is_awaited, notify
from redrive.flows.engine.result_place import ResultPlace
from redrive.flows.engine.superseded import Superseded, state_of
from redrive.flows.engine.traced import Traced

#: Seconds between two attempts to report to an unavailable API how a try ended, and how long a job goes on trying: longer than a
#: server takes to be repaired, shorter than a process should hang.
REPORT_EVERY = 5.0
GIVE_UP_AFTER = 3600.0

T = TypeVar("T")


class Tries:
    """The tries of a job's body that follow each other in this process; each is a `with tries:` around the call.

    Attributes:
        again: whether another one follows.
        wait: seconds before it.
        outcome: what the engine is to get: the result, as it is or stored, or the state that ends the job.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.again = True
        self.wait = 0.0
        self.outcome: Any = None
        self._result: Any = None
        self._place: ResultPlace | None = None
        # Listeners of a project may be registered by any of its job modules, not only by the one this job comes from.
        catalog()
        self._traced = Traced(attempt)
        notify("started", attempt)

    def done(self, result: Any) -> None:
        """The body returned.

        Raises:
            PermanentError: its result cannot be stored.
        """
        self._result = result
        self.outcome = self._place.put(result) if self._place else result

    def __enter__(self) -> Self:
        self._traced.begin()
        # What listeners do is part of the work.
        self._place = ResultPlace.prepare(self._attempt.id, may_note=not self._is_awaited)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            return self._settled(error)
        finally:
            self._traced.end()

    def _settled(self, error: BaseException | None) -> bool:
        if error is None:
            self.again = False
            with self._traced.settling("completed"):
                if not self._is_awaited:
                    note_completed(self._attempt.id, self.outcome)
                _complete(self._attempt, self._result)
                note_completed(self._attempt.id, self.outcome)
            self._traced.outcome("completed")
            return False
        if not isinstance(error, Exception):
            # Told to stop, or suspended: whoever did it knows.
            self._traced.outcome("interrupted")
            return False
        # Whatever a job raises is decided by its policy.
        after = _decide(self._attempt, error, self._traced)
        if isinstance(after, State):
            self.again, self.outcome = False, after
        else:
            self.wait = after
        return True

    @property
    def _is_awaited(self) -> bool:
        return is_awaited("finished", self._attempt.job.name)


def _complete(attempt: Attempt, result: Any) -> None:
    _require_current(attempt)
    attempt.failed_tries.survived()
    if attempt.unwritten:
        try:
            _until_reported(lambda: ask(requests.label(attempt.id, attempt.unwritten)))
        except Exception:  # noqa: BLE001  (the work is done; its retries are figures for a graph)
            get_run_logger().warning("the job's retries could not be noted", exc_info=True)
    notify("finished", attempt, result=result)


def _require_current(attempt: Attempt) -> None:
    """Raises `Superseded`; the engine then leaves the run as it is, and so does the worker."""
    try:
        _until_reported(attempt.require_current)
    except Superseded:
        get_run_logger().warning("another attempt has this job, or has done it: this one reports nothing")
        raise


def _decide(attempt: Attempt, error: Exception, traced: Traced) -> float | State[Any]:
    """Seconds to wait here before the next try, or the state that ends the job.

    Raises:
        Pause: the job waits for its next try outside of this process.
    """
    _require_current(attempt)
    now = SERVER_CLOCK.now()
    decision, failed = attempt.decide(error, draw=random.random())  # noqa: S311  (jitter, not a secret)
    logger = get_run_logger()
    outcome = "snoozed" if isinstance(error, Snooze) else "dead letter" if isinstance(decision, GiveUp) else "retried"
    if is_on():
        traced.outcome(outcome)
        if outcome != "snoozed":
            traced.failed(error, fingerprint=fingerprint_of(attempt, error, step=failed.name))
    _report_tries(attempt, error, decision, failed)
    if isinstance(decision, GiveUp):
        # The engine logs the traceback itself when it ends.
        logger.error("%s", decision.message)
        with traced.settling(outcome) as settling:
            settling.set({REASON: decision.reason})
            return _dead_letter(attempt, error, decision, failed, logger)
    logger.warning("%s", decision.message, exc_info=None if isinstance(error, Snooze) else error)
    seconds = (decision.at - now).total_seconds()
    if attempt.waits_here(error, failed, seconds):
        attempt.spent = replace(attempt.spent, shared=decision.tries)
        attempt.note_retry("the job itself", step="the job itself", spent=decision.tries)
        return seconds
    with traced.settling(outcome):
        signal = _leave(attempt, decision, failed)
    raise signal


def _report_tries(attempt: Attempt, error: Exception, decision: RetryAt | GiveUp, failed: FailedStep) -> None:
    if isinstance(decision, GiveUp):
        attempt.failed_tries.died(error)
        return
    if not isinstance(error, Snooze) and not attempt.failed_tries.knows(error):
        note_failed_try(attempt, error, key="", step=failed.name, tries=decision.tries)
    attempt.failed_tries.survived()


def _dead_letter(
    attempt: Attempt, error: Exception, decision: GiveUp, failed: FailedStep, logger: logging.Logger | Any
) -> State[Any]:
    try:
        labels = attempt.counted(decision, failed, SERVER_CLOCK.now()) | verdict_labels(decision, error)
        _until_reported(lambda: ask(requests.label(attempt.id, labels)))
        _until_reported(lambda: report_failure(attempt, error, verdict=decision, step=failed.name))
    except Exception:  # the state below is what counts: the keeper finds the job by it, with or without a report
        logger.warning("the failure report could not be written; the log has the traceback", exc_info=True)
    _require_current(attempt)
    notify("failed", attempt, error=error)
    return State(type=StateType.FAILED, name=DEAD_LETTER, message=decision.message, data=error)


def _leave(attempt: Attempt, decision: RetryAt, failed: FailedStep) -> Pause:
    """Make the run wait; the signal that takes its process out of the way."""
    return _until_reported(lambda: _await_retry(attempt, decision, failed))


def _until_reported(report: Callable[[], T]) -> T:
    """Do it as soon as the API answers: given up, it would cost a job a try, or its dead letter the reason.

    Raises:
        ApiUnavailable: it was unavailable for `GIVE_UP_AFTER`; what is raised then ends the process, and the keeper starts the job again.
    """
    give_up = time.monotonic() + GIVE_UP_AFTER
    while True:
        try:
            with reachable(SERVICE):
                return report()
        except ApiUnavailable as error:
            if time.monotonic() > give_up:
                raise
            get_run_logger().warning("how the try ended cannot be reported yet: %s", error)
            time.sleep(REPORT_EVERY)


def _await_retry(attempt: Attempt, decision: RetryAt, failed: FailedStep) -> Pause:
    attempt.require_current()
    labels = attempt.counted(decision, failed, SERVER_CLOCK.now()) | Wait.until(decision.at, told=decision.told).label
    wanted = state(SCHEDULED, name=AWAITING_RETRY, message=decision.message, at=decision.at)
    if state_id := leave_to_wait(attempt.id, wanted, labels):
        return Pause(state=State.model_validate({**wanted, "id": state_id}))
    held = state_of(attempt.id)
    if held is None or held.type != RUNNING:
        # Cancelled just now, for instance; as the engine's own proposals end.
        raise Abort(f"the run cannot wait for its next try: it is {held.type if held else 'gone'}")
    try:
        forget_process(attempt.id, held.id, labels)
    except Conflict as error:
        raise Abort(f"the run cannot wait for its next try: {error}") from None
    done = runs.transition(attempt.id, wanted, only_from=[RUNNING], state_id=held.id)
    if not done:
        raise Abort(f"the run cannot wait for its next try: {done.refused}")
    return Pause(state=State.model_validate({**wanted, "id": done.state_id}))
