"""The job decorator: a Prefect flow that follows its retry policy to the end, and that can be asked for.

A try that failed waits in the process (short), gives its slot back and waits as AwaitingRetry (long), or becomes a dead letter;
steps do the short waits themselves. A job called as a plain function or as a subflow simply raises.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from prefect import Flow

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.first_fault import no_option
from redrive.deployments.declared import JOB_OPTIONS, JobOptions, declared
from redrive.deployments.job_type import JobType
from redrive.flows.engine.asking import Asking
from redrive.flows.engine.attempt import current_job
from redrive.flows.engine.begun import attempt_of
from redrive.flows.engine.listeners import on_failed, on_finished, on_started
from redrive.flows.engine.signature import take_signature
from redrive.flows.engine.step import step
from redrive.flows.engine.step_runner import STEPS
from redrive.flows.engine.stored_result import SERIALIZER
from redrive.flows.engine.tries import Tries

__all__ = ["Job", "current_job", "job", "on_failed", "on_finished", "on_started", "step"]

P = ParamSpec("P")
R = TypeVar("R")

#: What `@flow` takes and the policy decides.
_POLICYS = frozenset({"retries", "retry_delay_seconds"})
_FLOW_OPTIONS = frozenset(inspect.signature(Flow.__init__).parameters) - {"self", "fn"} - _POLICYS


class _Options(JobOptions, total=False):
    """`JobOptions`, and how the job's result and those of its steps are stored: JSON if not given."""

    result_serializer: Any


class Job(Asking[P, R], Flow[P, R]):
    """A flow made by `job`: call it, or ask for it with `enqueue`, `aenqueue` and `options(...)`.

    Attributes:
        job_type: what it is in the catalog.
        function: its work, undecorated.
    """

    def __init__(self, job_type: JobType, function: Callable[P, R], run: Callable[P, R], **options: Any) -> None:
        self.job_type = job_type
        self.function = function
        super().__init__(fn=run, **options)

    if not TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if STEPS.runner is not None:
                return self.function(*args, **kwargs)
            return super().__call__(*args, **kwargs)

    def _producer(self) -> Job[P, R]:
        return self


@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...


@overload
def job(job_type: JobType, /, **options: Any) -> Callable[[Callable[P, R]], Job[P, R]]: ...


@overload
def job(**options: Unpack[_Options]) -> Callable[[Callable[P, R]], Job[P, R]]: ...


def job(given: JobType | Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a job: `@job`, `@job(max_tries=5, queue="low")`, or `@job(GREET)` for a job type of a catalog.

    Its name is the function's, with dashes; its description the docstring's; its run form comes from signature and docstring.

    Args:
        given: the job type, where a catalog has it that must not import the work.
        options: the fields of `JobType` and of `RetryPolicy`, side by side; `schedule` is one or more. Further ones are Prefect's
            of `@flow`; `retries` is not among them, the policy has them. `result_serializer` is how its result and those of its
            steps are stored: JSON if not given.

    Raises:
        CatalogError: an option that there is not, or a value that does not fit.
        PolicyError: a policy that cannot work.
    """
    if callable(given) and not isinstance(given, JobType):
        return job(**options)(given)
    known = _FLOW_OPTIONS if given else _FLOW_OPTIONS | {*JOB_OPTIONS}
    for name in options:
        if name not in known:
            raise CatalogError(no_option("a job", name, [*(() if given else JOB_OPTIONS), *sorted(_FLOW_OPTIONS)]))

    def decorate(function: Callable[P, R]) -> Job[P, R]:
        if given is not None:
            return _made(given, function, options)
        job_type = declared(function, {name: value for name, value in options.items() if name in JOB_OPTIONS})
        return _made(job_type, function, {name: value for name, value in options.items() if name not in JOB_OPTIONS})

    return decorate


def _made(job_type: JobType, function: Callable[P, R], options: dict[str, Any]) -> Job[P, R]:
    run = _async_body(job_type, function) if inspect.iscoroutinefunction(function) else _body(job_type, function)
    take_signature(run, function)
    return Job(
        job_type,
        function,
        run,
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


def _body(job_type: JobType, function: Callable[P, R]) -> Callable[P, R]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        with attempt_of(job_type) as attempt:
            if attempt is None or not attempt.can_leave:
                return function(*args, **kwargs)
            tries = Tries(attempt)
            while tries.again:
                time.sleep(tries.wait)
                with tries:
                    tries.done(function(*args, **kwargs))
            return tries.outcome

    return run


def _async_body(job_type: JobType, function: Callable[P, Any]) -> Callable[P, Any]:
    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        with attempt_of(job_type) as attempt:
            if attempt is None or not attempt.can_leave:
                return await function(*args, **kwargs)
            tries = Tries(attempt)
            while tries.again:
                await asyncio.sleep(tries.wait)
                with tries:
                    tries.done(await function(*args, **kwargs))
            return tries.outcome

    return run
