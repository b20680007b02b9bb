"""The job decorator: a Prefect flow that follows its retry policy to the end.

A try that failed waits in the process (short), gives its slot back and waits as AwaitingRetry (long), or is buried as
DeadLetter; steps do the short waits themselves. A job called as a plain function or as a subflow simply raises.

Danger: the wrapper leaves by Prefect's pause signal; nothing between it and the engine may catch `BaseException`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Abort, Pause
from prefect.logging import get_run_logger

from redrive.blocks.core.decision import Bury, RetryAt, after_failure
from redrive.blocks.core.errors import ApiUnavailable, Snooze
from redrive.blocks.core.patience import SERVICE
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_state import forget_process
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, DEAD_LETTER, RUNNING, SCHEDULED, state
from redrive.deployments.catalog import catalog
from redrive.deployments.job_type import JobType
from redrive.flows.engine.attempt import Attempt, attempt_of, current_job
from redrive.flows.engine.failure_report import report_failure, verdict_labels
from redrive.flows.engine.listeners import on_failed, on_finished, on_started, tell
from redrive.flows.engine.signature import speak_for
from redrive.flows.engine.step import step
from redrive.flows.engine.stored_result import SERIALIZER, require_job_result
from redrive.flows.engine.superseded import Superseded

__all__ = ["current_job", "job", "on_failed", "on_finished", "on_started", "step"]

#: Seconds between two attempts to tell an API that is away how a try ended, and how long a job insists: longer than a server
#: takes to be mended, shorter than a process should hang.
PAUSE = 5.0
INSIST = 3600.0

P = ParamSpec("P")
R = TypeVar("R")


def job(job_type: JobType, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function the work of a job type: `@job(GREET)`.

    Args:
        job_type: the catalog entry; its name is the flow's name, its policy decides about retries.
        options: further options of Prefect's `@flow`; `retries` is not among them, the policy has them. `result_serializer` is
            how its result and those of its steps are stored: JSON if not given.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        run = _async_body(job_type, function) if inspect.iscoroutinefunction(function) else _body(job_type, function)
        speak_for(run, function)
        return Flow(
            fn=run,
            **{
                "name": job_type.name,
                "description": job_type.description or None,
                "retries": 0,
                "persist_result": True,
                "result_serializer": SERIALIZER,
                "log_prints": True,
                **options,
            },
        )

    return decorate


def _body(job_type: JobType, function: Callable[P, R]) -> Callable[P, R]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        with attempt_of(job_type) as attempt:
            if attempt is None or not attempt.can_leave:
                return function(*args, **kwargs)
            _start(attempt)
            while True:
                try:
                    result = function(*args, **kwargs)
                    require_job_result(result)
                except Exception as error:  # noqa: BLE001  (whatever a job raises is decided by its policy)
                    wait = _after(attempt, error)
                    if isinstance(wait, State):
                        return wait
                    time.sleep(wait)
                else:
                    _complete(attempt, result)
                    return result

    return run


def _async_body(job_type: JobType, function: Callable[P, Any]) -> Callable[P, Any]:
    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        with attempt_of(job_type) as attempt:
            if attempt is None or not attempt.can_leave:
                return await function(*args, **kwargs)
            _start(attempt)
            while True:
                try:
                    result = await function(*args, **kwargs)
                    require_job_result(result)
                except Exception as error:  # noqa: BLE001  (whatever a job raises is decided by its policy)
                    wait = _after(attempt, error)
                    if isinstance(wait, State):
                        return wait
                    await asyncio.sleep(wait)
                else:
                    _complete(attempt, result)
                    return result

    return run


def _start(attempt: Attempt) -> None:
    # Listeners of a project may be registered by any of its job modules, not only by the one this job comes from.
    catalog()
    tell("started", attempt)


def _complete(attempt: Attempt, result: Any) -> None:
    _require_current(attempt)
    if attempt.untold:
        try:
            _insist(lambda: ask(requests.label(attempt.id, attempt.untold)))
        except Exception:  # noqa: BLE001  (the work is done; its retries are figures for a graph)
            get_run_logger().warning("the job's retries could not be noted", exc_info=True)
    tell("finished", attempt, result=result)


def _require_current(attempt: Attempt) -> None:
    """Raises `Superseded`; the engine then leaves the run as it is, and so does the worker."""
    try:
        _insist(attempt.require_current)
    except Superseded:
        get_run_logger().warning("another attempt has this job, or has done it: this one reports nothing")
        raise


def _after(attempt: Attempt, error: Exception) -> float | State[Any]:
    """Seconds to wait here before the next try, or the state that ends the job.

    Raises:
        Pause: the job waits for its next try outside of this process.
    """
    _require_current(attempt)
    executions, failed_step = attempt.failed_step(error)
    now = SERVER_CLOCK.now()
    decision = after_failure(
        attempt.policy,
        error=error,
        tries=attempt.tries + (0 if isinstance(error, Snooze) else executions),
        first_start=attempt.first_start,
        now=now,
        draw=random.random(),  # noqa: S311  (jitter, not a secret)
    )
    logger = get_run_logger()
    if isinstance(decision, Bury):
        # The engine logs the traceback itself when it ends.
        logger.error("%s", decision.message)
        return _bury(attempt, error, decision, failed_step, logger)
    logger.warning("%s", decision.message, exc_info=None if isinstance(error, Snooze) else error)
    seconds = (decision.at - now).total_seconds()
    if failed_step is None and seconds <= attempt.policy.hold_slot and not isinstance(error, Snooze):
        attempt.tries = decision.tries
        attempt.note_retry("the job itself", step="the job itself", spent=attempt.tries)
        return seconds
    raise _left(attempt, decision)


def _bury(
    attempt: Attempt, error: Exception, decision: Bury, failed_step: str | None, logger: logging.Logger | Any
) -> State[Any]:
    try:
        labels = attempt.counted(decision, SERVER_CLOCK.now()) | verdict_labels(decision, error)
        _insist(lambda: ask(requests.label(attempt.id, labels)))
        _insist(lambda: report_failure(attempt, error, verdict=decision, step=failed_step))
    except Exception:  # the state below is what counts: the keeper finds the job by it, with or without a report
        logger.warning("the failure report could not be written; the log has the traceback", exc_info=True)
    _require_current(attempt)
    tell("failed", attempt, error=error)
    return State(type=StateType.FAILED, name=DEAD_LETTER, message=decision.message, data=error)


def _left(attempt: Attempt, decision: RetryAt) -> Pause:
    """Make the run wait; the signal that takes its process out of the way."""
    return _insist(lambda: _made_to_wait(attempt, decision))


def _insist(tell_api: Callable[[], R]) -> R:
    """Do it as soon as the API answers: given up, it would cost a job a try, or its dead letter the reason.

    Raises:
        ApiUnavailable: it was away for `INSIST`; what is raised then ends the process, and the keeper starts the job again.
    """
    give_up = time.monotonic() + INSIST
    while True:
        try:
            with reachable(SERVICE):
                return tell_api()
        except ApiUnavailable as error:
            if time.monotonic() > give_up:
                raise
            get_run_logger().warning("how the try ended cannot be told yet: %s", error)
            time.sleep(PAUSE)


def _made_to_wait(attempt: Attempt, decision: RetryAt) -> Pause:
    attempt.require_current()
    ask(requests.label(attempt.id, attempt.counted(decision, SERVER_CLOCK.now())))
    forget_process(attempt.id)
    wanted = state(SCHEDULED, name=AWAITING_RETRY, message=decision.message, at=decision.at)
    done = runs.transition(attempt.id, wanted, only_from=[RUNNING])
    if not done:
        # Cancelled just now, for instance; as the engine's own proposals end.
        raise Abort(f"the run cannot wait for its next try: {done.refused}")
    return Pause(state=State.model_validate({**wanted, "id": done.state_id}))
