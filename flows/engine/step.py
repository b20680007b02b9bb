"""A step: a Prefect task that declares its retries from the policy and remembers what it completed.

Danger: inside a job, a step without a policy of its own runs with the job's effective policy (block override) and with what
earlier attempts left of the tries; outside of one it is a plain Prefect task with the declared retries.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from redrive.blocks.core.errors import CatalogError, Snooze
from redrive.blocks.core.first_fault import no_option
from redrive.blocks.core.retry import PolicyFields, RetryPolicy
from redrive.deployments.declared import POLICY_OPTIONS, policy_of
from redrive.flows.engine.attempt import Attempt, FailedStep, current_attempt
from redrive.flows.engine.signature import take_signature
from redrive.flows.engine.step_body import StepKey, noting
from redrive.flows.engine.step_runner import STEPS

P = ParamSpec("P")
R = TypeVar("R")

#: What `@task` takes and a step decides itself.
_OURS = frozenset(
    {"fn", "retries", "retry_delay_seconds", "retry_jitter_factor", "retry_condition_fn", "timeout_seconds"}
    | {"persist_result", "cache_policy"}
)
_TASK_OPTIONS = frozenset(inspect.signature(Task.__init__).parameters) - {"self"} - _OURS


class StepOptions(PolicyFields, total=False):
    """What the decorator `step` takes: a policy of its own, field by field, and what follows.

    Attributes:
        name: shown in Prefect's UI; the function's name if not given.
        reuse: a step that completed is not run again when its job is. Two calls with equal inputs in one job are then one
            execution; give False where each call must run.
        result_serializer: how its result is stored: as its job's if not given.
        tags: Prefect's tags of its task.
    """

    name: str
    reuse: bool
    result_serializer: Any
    tags: Any


class Step(Task[P, R]):
    """A task made by `step`. `own` is its policy, if it has one of its own."""

    own: RetryPolicy | None = None
    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]  # Prefect's overloads, without return_state
        if runner := STEPS.runner:
            return runner.call(self, args, kwargs)  # type: ignore[no-any-return]  # what the function returns
        return Task.__call__(self.in_this_attempt(), *args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        if runner := STEPS.runner:
            return runner.submit(self, args, kwargs)
        return Task.submit(self.in_this_attempt(), *args, **kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        if runner := STEPS.runner:
            return runner.map(self, args, kwargs)
        return Task.map(self.in_this_attempt(), *args, **kwargs)

    def another_here(self, attempt: Attempt, error: BaseException, executions: int, run: str) -> bool:
        """Whether another execution follows in this process after the `executions`-th failed; it is noted in any case.

        Args:
            attempt: of the job.
            error: what the step raised.
            executions: of the step in this attempt.
            run: of its task.
        """
        failed = _failed(self, attempt, executions)
        attempt.note_failed_step(error, failed)
        again = executions <= self.retries and retries_here(attempt, failed, error)
        if again:
            own = failed.counted_apart
            spent = attempt.spent.of_step(own) + executions
            attempt.note_retry(self.name, step=own or run, spent=spent, own=own is not None)
        return again

    def in_this_attempt(self) -> Step[P, R]:
        """The step as its job's policy and what was spent before have it."""
        attempt = current_attempt()
        if attempt is None:
            return self
        own = own_policy(self, attempt)
        options = (own or attempt.policy).task_options(spent=attempt.spent.of_step(self.name if own else None))
        mine = copy.copy(self)
        mine.retries = options["retries"]
        mine.retry_delay_seconds = options["retry_delay_seconds"]
        mine.retry_jitter_factor = options["retry_jitter_factor"]
        mine.timeout_seconds = options["timeout_seconds"]
        return mine


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    policy: RetryPolicy | None = None, /, **options: Unpack[StepOptions]
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(given: Callable[..., Any] | RetryPolicy | None = None, /, **options: Any) -> Any:
    """Make a function a step: `@step`, or with a policy of its own `@step(max_tries=10)`.

    Args:
        given: a policy: retries, delays, jitter, timeout and permanent errors of this step. Without one, and with one that is the
            job's, the job's decides. Deadline, crashes and how long a slot is held are the job's in any case.
        options: those of `StepOptions`; further ones are Prefect's of `@task`.

    Raises:
        CatalogError: an option that there is not.
        PolicyError: a policy that cannot work.
    """
    if callable(given) and not isinstance(given, RetryPolicy):
        return step(**options)(given)
    own = policy_of(options | ({"policy": given} if given else {}), what="step")
    options = {name: value for name, value in options.items() if name not in POLICY_OPTIONS}
    for name in options:
        if name not in _TASK_OPTIONS and name != "reuse":
            raise CatalogError(no_option("a step", name, [*POLICY_OPTIONS, "reuse", *sorted(_TASK_OPTIONS)]))

    def decorate(function: Callable[P, R]) -> Step[P, R]:
        return _made(function, own, **options)

    return decorate


def _made(
    function: Callable[P, R], own: RetryPolicy | None, *, name: str | None = None, reuse: bool = True, **options: Any
) -> Step[P, R]:
    run = noting(function, _failed)
    take_signature(run, function)
    made: Step[P, R] = Step(
        fn=run,
        name=name or getattr(function, "__name__", "step"),
        persist_result=reuse,
        cache_policy=StepKey() if reuse else NO_CACHE,
        retry_condition_fn=may_retry_in_process,
        **{"log_prints": True, **(own or RetryPolicy()).task_options(), **options},
    )
    made.own = own
    made.function = function
    return made


def own_policy(task: Task[..., Any], attempt: Attempt) -> RetryPolicy | None:
    """The policy of a step that has one of its own in this job; None for one that follows the job's."""
    own = task.own if isinstance(task, Step) else None
    if own is None or own == attempt.job.policy:
        return None
    of_the_job = ("retry_until", "max_crashes", "hold_slot")
    return own.model_copy(update={name: getattr(attempt.policy, name) for name in of_the_job})


def may_retry_in_process(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Prefect's question after a failed try that has a retry left: wait here, or leave it to the job decorator?"""
    error = state.data if isinstance(state.data, BaseException) else None
    attempt = current_attempt()
    if attempt is None:
        policy = (task.own if isinstance(task, Step) else None) or RetryPolicy()
        return error is None or not (isinstance(error, Snooze) or policy.is_permanent(error))
    if error is None or not isinstance(task, Step):
        return True
    return task.another_here(attempt, error, task_run.run_count, str(task_run.id))


def retries_here(attempt: Attempt, failed: FailedStep, error: BaseException) -> bool:
    """Whether a step that has a retry left is tried again in this process, after its delay."""
    policy = failed.own or attempt.policy
    if isinstance(error, Snooze) or policy.is_permanent(error):
        return False
    if not attempt.can_leave:
        return True
    tries = attempt.spent.of_step(failed.counted_apart) + failed.executions
    if policy.base_delay(tries) > policy.hold_slot:
        return False
    return not policy.past_deadline(first_start=attempt.first_start, at=attempt.now())


def _failed(task: Task[..., Any], attempt: Attempt, executions: int) -> FailedStep:
    return FailedStep(executions, task.name, own_policy(task, attempt))
