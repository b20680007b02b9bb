"""A step: a Prefect task that declares its retries from the policy and remembers what it completed.

Danger: inside a job, a step runs with the job's effective policy (block override) and with what earlier attempts left of
the tries; outside of one it is a plain Prefect task with the declared retries.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.cache_policies import DEFAULT, NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.process.step_deadline import announced
from redrive.flows.engine.attempt import Attempt, current_attempt
from redrive.flows.engine.signature import speak_for
from redrive.flows.engine.stored_result import require_step_result

P = ParamSpec("P")
R = TypeVar("R")

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


class Step(Task[P, R]):
    """A task made by `step`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]  # Prefect's overloads, without return_state
        return Task.__call__(self._in_this_attempt(), *args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        return Task.submit(self._in_this_attempt(), *args, **kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        return Task.map(self._in_this_attempt(), *args, **kwargs)

    def _in_this_attempt(self) -> Step[P, R]:
        attempt = current_attempt()
        if attempt is None:
            return self
        options = attempt.policy.task_options(spent=attempt.tries)
        mine = copy.copy(self)
        mine.retries = options["retries"]
        mine.retry_delay_seconds = options["retry_delay_seconds"]
        mine.retry_jitter_factor = options["retry_jitter_factor"]
        mine.timeout_seconds = options["timeout_seconds"]
        return mine


def step(
    policy: RetryPolicy | None = None, *, name: str | None = None, reuse: bool = True, **options: Any
) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step: `@step(GREET.policy)`.

    Args:
        policy: retries, delays, jitter and timeout as declared; the default policy if None.
        name: shown in Prefect's UI; the function's name if None.
        reuse: a step that completed is not run again when its job is. Two calls with equal inputs in one job are then one
            execution; give False where each call must run.
        options: further options of Prefect's `@task`. `result_serializer` is how its result is stored: as its job's if not given.
    """
    declared = policy or RetryPolicy()

    def decorate(function: Callable[P, R]) -> Step[P, R]:
        run = _noting(function)
        speak_for(run, function)
        return Step(
            fn=run,
            name=name or getattr(function, "__name__", "step"),
            persist_result=reuse,
            cache_policy=StepKey() if reuse else NO_CACHE,
            retry_condition_fn=may_retry_in_process,
            **{"log_prints": True, **declared.task_options(), **options},
        )

    return decorate


def may_retry_in_process(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Prefect's question after a failed try that has a retry left: wait here, or leave it to the job decorator?"""
    error = state.data if isinstance(state.data, BaseException) else None
    attempt = current_attempt()
    policy = attempt.policy if attempt else RetryPolicy()
    if attempt is not None and error is not None:
        attempt.note_failed_step(error, executions=task_run.run_count, step=task.name)
    again = error is None or _may_retry_here(attempt, policy, error, executions=task_run.run_count)
    if again and attempt is not None:
        attempt.note_retry(task.name, step=str(task_run.id), spent=attempt.tries + task_run.run_count)
    return again


def _may_retry_here(attempt: Attempt | None, policy: RetryPolicy, error: BaseException, *, executions: int) -> bool:
    if isinstance(error, Snooze) or policy.is_permanent(error):
        return False
    if attempt is None or not attempt.can_leave:
        return True
    tries = attempt.tries + executions
    wait = policy.base_delay(tries)
    if wait > policy.hold_slot:
        return False
    return not policy.past_deadline(first_start=attempt.first_start, at=SERVER_CLOCK.now())


def _noting(function: Callable[P, R]) -> Callable[P, R]:
    """The function, noting which execution of the step raised; Prefect calls no condition after the last one."""
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            _refuse_without_key()
            try:
                with _watched():
                    result = await function(*args, **kwargs)
                require_step_result(result)
            except (
                BaseException
            ) as error:  # a timeout arrives as a cancellation, and Prefect raises its own error from it
                _note(error)
                raise
            _done()
            return result

        return run_async  # type: ignore[return-value]  # ParamSpec cannot say "the same coroutine function"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return cast("Callable[P, R]", function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        _refuse_without_key()
        try:
            with _watched():
                result = function(*args, **kwargs)
            require_step_result(result)
        except BaseException as error:  # as above
            _note(error)
            raise
        _done()
        return result

    return run


def _watched() -> AbstractContextManager[None]:
    """Announces when this step should be over to whoever can end it if it does not."""
    attempt, context = current_attempt(), TaskRunContext.get()
    if attempt is None or context is None:
        return nullcontext()
    tries = attempt.tries + context.task_run.run_count
    return announced(context.task.name, context.task.timeout_seconds, tries=tries)


def _done() -> None:
    """A step that needed several tries came to its end: they count no more."""
    attempt, context = current_attempt(), TaskRunContext.get()
    if attempt is not None and context is not None and context.task_run.run_count > 1:
        attempt.spend(str(context.task_run.id), 0)


def _note(error: BaseException) -> None:
    attempt, context = current_attempt(), TaskRunContext.get()
    if attempt is not None and context is not None:
        attempt.note_failed_step(error, executions=context.task_run.run_count, step=context.task.name)


def _refuse_without_key() -> None:
    said, context = _no_key.get(), TaskRunContext.get()
    if said is None or context is None:
        return
    _no_key.set(None)
    raise PermanentError(
        f"step {context.task.name!r} cannot remember that it completed, because its inputs have no stable key ({said}): "
        "give it values Prefect can hash (paths, numbers, pydantic models), or declare it with reuse=False"
    )
