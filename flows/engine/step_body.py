"""The body of a step: what is noted of each execution, and by which key a completed one is found again.

Danger: Prefect calls no retry condition after the last execution; what failed is noted here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.cache_policies import DEFAULT, CachePolicy
from prefect.context import TaskRunContext

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.process.step_deadline import announced
from redrive.blocks.process.step_times import timed
from redrive.blocks.tracing.switch import is_on
from redrive.flows.engine.attempt import Attempt, FailedStep, current_attempt
from redrive.flows.engine.failed_try import note_failed_try
from redrive.flows.engine.stored_result import require_step_result
from redrive.flows.engine.traced import step_span

P = ParamSpec("P")
R = TypeVar("R")

#: What failed, as its step knows it.
Failed = Callable[[Task[..., Any], Attempt, int], FailedStep]

_no_key: ContextVar[str | None] = ContextVar("redrive_step_no_key", default=None)


class StepKey(CachePolicy):
    """Prefect's default key (inputs, source of the task, run), which says when inputs have none instead of dropping it."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        _no_key.set(None)
        try:
            return DEFAULT.compute_key(task_ctx=task_ctx, inputs=inputs, flow_parameters=flow_parameters, **kwargs)
        except Exception as error:  # noqa: BLE001  (Prefect raises what the serializers raise, which is anything)
            _no_key.set(f"{type(error).__name__}: {error}".splitlines()[0])
            return None


def noting(function: Callable[P, R], failed: Failed) -> Callable[P, R]:
    """The function, noting which execution of the step raised."""
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with _execution(failed):
                result = await function(*args, **kwargs)
                require_step_result(result)
                return result

        return run_async  # type: ignore[return-value]  # ParamSpec cannot say "the same coroutine function"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return cast("Callable[P, R]", function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with _execution(failed):
            result = function(*args, **kwargs)
            require_step_result(result)
            return result

    return run


@contextmanager
def _execution(failed: Failed) -> Iterator[None]:
    _refuse_without_key()
    attempt, context = current_attempt(), TaskRunContext.get()
    if attempt is not None and context is not None:
        attempt.failed_tries.followed(str(context.task_run.id))
    try:
        with _timed(attempt, context), _watched(attempt, context, failed), _span(attempt, context, failed):
            yield
    except BaseException as error:  # a timeout arrives as a cancellation, and Prefect raises its own error from it
        if attempt is not None and context is not None:
            step = failed(context.task, attempt, context.task_run.run_count)
            attempt.note_failed_step(error, step)
            tries = attempt.spent.of_step(step.counted_apart) + step.executions
            key, name = str(context.task_run.id), context.task.name
            note_failed_try(attempt, error, key=key, step=name, tries=tries)
        raise
    if attempt is not None and context is not None and context.task_run.run_count > 1:
        # A step that needed several tries came to its end: they count no more.
        own = failed(context.task, attempt, 0).counted_apart
        attempt.spend(own or str(context.task_run.id), 0, own=own is not None)


def _timed(attempt: Attempt | None, context: TaskRunContext | None) -> AbstractContextManager[None]:
    return nullcontext() if attempt is None or context is None else timed(context.task.name)


def _watched(attempt: Attempt | None, context: TaskRunContext | None, failed: Failed) -> AbstractContextManager[None]:
    """Announces when this step should be over to whoever can end it if it does not."""
    if attempt is None or context is None:
        return nullcontext()
    step = failed(context.task, attempt, context.task_run.run_count)
    tries = attempt.spent.of_step(step.counted_apart) + step.executions
    own = step.own.model_dump(mode="json") if step.own else None
    return announced(context.task.name, context.task.timeout_seconds, tries=tries, own=own)


def _span(attempt: Attempt | None, context: TaskRunContext | None, failed: Failed) -> AbstractContextManager[object]:
    if attempt is None or context is None or not is_on():
        return nullcontext()
    step = failed(context.task, attempt, context.task_run.run_count)
    return step_span(context.task.name, attempt.spent.of_step(step.counted_apart) + step.executions)


def _refuse_without_key() -> None:
    message, context = _no_key.get(), TaskRunContext.get()
    if message is None or context is None:
        return
    _no_key.set(None)
    raise no_stable_key(context.task.name, message)


def no_stable_key(step: str, why: str) -> PermanentError:
    """What a step ends with that could not be remembered."""
    return PermanentError(
        f"step {step!r} cannot remember that it completed, because its inputs have no stable key ({why}): "
        "give it values Prefect can hash (paths, numbers, pydantic models), or declare it with reuse=False"
    )
