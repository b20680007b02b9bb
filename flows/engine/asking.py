"""Asking for a job by its function: `greet.enqueue(name="Ada")`, typed by the function's own signature."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, ParamSpec, TypeVar, overload

from redrive.blocks.core.errors import ParameterError
from redrive.deployments.accepted import Accepted
from redrive.deployments.enqueue import PRODUCING, enqueue
from redrive.deployments.job_request import Delay
from redrive.deployments.job_type import JobType

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a job is asked for, apart from its parameters. `at` and `delay` are not both given."""

    key: str | None = None
    queue: str | None = None
    delay: Delay | None = None
    at: datetime | None = None
    tags: Sequence[str] = field(default=())


class Asking(Generic[P, R]):
    """What can be asked for with the parameters P and hands back R."""

    job_type: JobType
    fn: Callable[P, R]
    _options: Options = Options()

    @overload
    def enqueue(self: Asking[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Accepted[T]: ...

    @overload
    def enqueue(self: Asking[P, R], *args: P.args, **kwargs: P.kwargs) -> Accepted[R]: ...

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Accepted[Any]:
        """Ask for one job with these parameters, and return when it is durable.

        Raises:
            UnknownJob, ParameterError: with what would fit.
            ApiUnavailable: nothing was accepted, or it says that this is not known and which key to ask again with.
        """
        return self._ask(args, kwargs)

    @overload
    async def aenqueue(self: Asking[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Accepted[T]: ...

    @overload
    async def aenqueue(self: Asking[P, R], *args: P.args, **kwargs: P.kwargs) -> Accepted[R]: ...

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Accepted[Any]:
        """`enqueue` for asynchronous code."""
        return await asyncio.to_thread(lambda: self._ask(args, kwargs))

    def options(
        self,
        *,
        key: str | None = None,
        queue: str | None = None,
        delay: Delay | None = None,
        at: datetime | None = None,
        tags: Sequence[str] = (),
    ) -> Request[P, R]:
        """The same job, asked for in this way: `greet.options(key="greet-ada", delay="10m").enqueue(name="Ada")`.

        Args:
            key: idempotency key: equal keys of one job type make one job.
            queue: instead of the job type's own.
            delay: from now until it is due: seconds, a timedelta, or text like `10m`.
            at: the time it is due; not both.
            tags: Prefect's tags of the run.
        """
        return Request(self._producer(), Options(key=key, queue=queue, delay=delay, at=at, tags=tags))

    def _producer(self) -> Any:
        """The job itself."""
        raise NotImplementedError

    def _ask(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Accepted[Any]:
        asked = self._options
        if (place := PRODUCING.place) is not None:
            place.know(self._producer())
        return enqueue(
            self.job_type.name,
            self._parameters(args, kwargs),
            key=asked.key,
            queue=asked.queue,
            delay=asked.delay,
            at=asked.at,
            tags=asked.tags,
        )

    def _parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        signature = inspect.signature(self.fn)
        try:
            # By name where names are given: whoever checks them says which was meant.
            placed = signature.bind_partial(*args).arguments
        except TypeError as error:
            raise ParameterError(f"job type {self.job_type.name!r}: {error}") from None
        if twice := placed.keys() & kwargs:
            raise ParameterError(f"job type {self.job_type.name!r} got {', '.join(sorted(twice))} twice")
        return {**placed, **kwargs}


class Request(Asking[P, R]):
    """A job with options to ask for it."""

    def __init__(self, job: Any, options: Options) -> None:
        self._job = job
        self.job_type, self.fn = job.job_type, job.fn
        self._options = options

    def _producer(self) -> Any:
        return self._job
