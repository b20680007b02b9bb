"""Steps in place: each execution of a step outside of Prefect's engine, decided by what decides in a worker."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from prefect.cache_policies import INPUTS
from prefect.futures import PrefectFutureList

from redrive.blocks.prefect.private.settled import FutureList, Settled
from redrive.flows.engine.attempt import Attempt, current_attempt
from redrive.flows.engine.step import Step
from redrive.flows.engine.step_body import no_stable_key
from redrive.flows.engine.step_runner import STEPS, StepRunner
from redrive.flows.engine.stored_result import as_stored


class InlineSteps:
    """The steps of one job.

    Attributes:
        waits: how long the clock was moved before tries that followed another.
        executions: how often each step ran, by name.
    """

    def __init__(self, now: Callable[[], datetime], advance: Callable[[timedelta], None], serializer: Any) -> None:
        self.now, self.advance, self.serializer = now, advance, serializer
        self.waits: list[timedelta] = []
        self.executions: Counter[str] = Counter()
        self.completed: dict[tuple[str, str], Any] = {}
        self._outer: StepRunner | None = None

    def __enter__(self) -> Self:
        self._outer, STEPS.runner = STEPS.runner, self
        return self

    def __exit__(self, *_: object) -> None:
        STEPS.runner = self._outer

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call of the step returns: its result, or what is to be awaited."""
        attempt = current_attempt()
        args, kwargs = tuple(map(_settled, args)), {name: _settled(value) for name, value in kwargs.items()}
        if attempt is None:
            return step.function(*args, **kwargs)
        executions = _Executions(self, step, attempt, args, kwargs)
        return executions.awaited() if inspect.iscoroutinefunction(step.function) else executions.called()

    def submit(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Settled:
        """A future that has its result."""
        return Settled(self.call(step, args, kwargs))

    def map(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call for each element of the lists among the arguments, as `Task.map` does."""
        bound = inspect.signature(step.function).bind(*args, **kwargs)
        many = {
            name: list(value)
            for name, value in bound.arguments.items()
            if isinstance(value, list | tuple | range | PrefectFutureList)
        }
        length = max((len(value) for value in many.values()), default=0)
        calls = [{**bound.arguments, **{name: value[at] for name, value in many.items()}} for at in range(length)]
        return FutureList([self.submit(step, (), call) for call in calls])


class _Executions:
    """The executions of one call of a step that follow each other in this attempt; each is a `with self:` around the call."""

    def __init__(
        self, steps: InlineSteps, step: Step[..., Any], attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._steps, self._attempt, self._args, self._kwargs = steps, attempt, args, kwargs
        self._step = step.in_this_attempt()
        self._key = self._key_of(step) if step.persist_result else None
        self._id = str(uuid4())
        self._executions = 0
        self._value: Any = None
        self._again = self._key not in steps.completed
        if not self._again and self._key is not None:
            self._value = steps.completed[self._key]

    def called(self) -> Any:
        while self._again:
            with self:
                self._done(self._step.function(*self._args, **self._kwargs))
        return self._value

    async def awaited(self) -> Any:
        while self._again:
            with self:
                self._done(await self._step.function(*self._args, **self._kwargs))
        return self._value

    def _done(self, value: Any) -> None:
        if self._key is not None:
            serializer = self._step.result_serializer or self._steps.serializer
            value = self._steps.completed[self._key] = as_stored(
                value, serializer, f"step {self._step.name!r}", "@step"
            )
        self._value = value

    def __enter__(self) -> None:
        self._executions += 1
        self._steps.executions[self._step.name] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            self._again = error is not None
            return False
        if not self._step.another_here(self._attempt, error, self._executions, self._id):
            return False
        delays = self._step.retry_delay_seconds
        wait = timedelta(seconds=delays[min(self._executions, len(delays)) - 1] if isinstance(delays, list) else 0)
        self._steps.waits.append(wait)
        self._steps.advance(wait)
        return True

    def _key_of(self, step: Step[..., Any]) -> tuple[str, str]:
        inputs = dict(inspect.signature(step.function).bind(*self._args, **self._kwargs).arguments)
        try:
            key = INPUTS.compute_key(task_ctx=None, inputs=inputs, flow_parameters={})  # type: ignore[arg-type]  # not looked at
        except Exception as error:
            raise no_stable_key(step.name, f"{type(error).__name__}: {error}".splitlines()[0]) from error
        return step.name, key or ""


def _settled(value: Any) -> Any:
    """What futures among the arguments hold, as Prefect would hand it over."""
    match value:
        case Settled():
            return value.value
        case list():
            return [_settled(one) for one in value]
        case _:
            return value
