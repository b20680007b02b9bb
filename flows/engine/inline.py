"""Jobs in place, for tests of a project's own: no server, no engine, and a clock that waits move.

What decides is what decides in a worker: the policy, which steps are tried again here, what the next attempt still has, what JSON
can hold. What is missing: timeouts, crashes, and what Prefect adds (its states, its log, concurrency limits).
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, overload
from uuid import UUID, uuid4

from prefect.logging import disable_run_logger
from prefect.utilities.callables import parameters_to_args_kwargs

from redrive.blocks.core.decision import GiveUp
from redrive.blocks.core.durations import duration
from redrive.blocks.core.errors import CatalogError, ParameterError
from redrive.blocks.core.nearest import unknown
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.blocks.prefect.states import COMPLETED, DEAD_LETTER
from redrive.deployments.accepted import Accepted
from redrive.deployments.catalog import job_type
from redrive.deployments.enqueue import PRODUCING
from redrive.deployments.job_request import Item, JobRequest, due_at
from redrive.deployments.parameters import checked
from redrive.deployments.queue_names import queues
from redrive.flows.engine.attempt import Attempt, running
from redrive.flows.engine.inline_job import InlineJob
from redrive.flows.engine.inline_steps import InlineSteps
from redrive.flows.engine.job import Job
from redrive.flows.engine.listeners import notify
from redrive.flows.engine.step_runner import STEPS
from redrive.flows.engine.stored_result import as_stored

#: Draws of the jitter: its middle, so that waits are what the policy says.
MIDDLE = 0.5


class InlineJobs(Sequence[InlineJob]):
    """The jobs that were asked for, in the order in which they were accepted, and the clock.

    Attributes:
        now: the time, which delays and waits move.
    """

    def __init__(self, known: Iterable[Job[..., Any]], start: datetime) -> None:
        self.now = start
        self._known = {job.job_type.name: job for job in known}
        self._ran: dict[tuple[str, str], InlineJob] = {}

    @overload
    def __getitem__(self, index: int) -> InlineJob: ...

    @overload
    def __getitem__(self, index: slice) -> list[InlineJob]: ...

    def __getitem__(self, index: int | slice) -> InlineJob | list[InlineJob]:
        return list(self._ran.values())[index]

    def __len__(self) -> int:
        return len(self._ran)

    def of(self, job: str | Job[..., Any]) -> list[InlineJob]:
        """Those of one job type.

        Args:
            job: its name, or its function.
        """
        name = job if isinstance(job, str) else job.job_type.name
        return [one for one in self if one.job == name]

    @property
    def dead(self) -> list[InlineJob]:
        """Those that are dead letters."""
        return [one for one in self if one.state == DEAD_LETTER]

    def advance(self, by: timedelta | str) -> None:
        """Move the clock: `jobs.advance("10m")`."""
        self.now += duration("advance", by) if isinstance(by, str) else by

    def know(self, job: Job[..., Any]) -> None:
        """Jobs that are asked for by their function need not stand in a catalog."""
        self._known.setdefault(job.job_type.name, job)

    def accept(self, request: JobRequest) -> list[Accepted[Any]]:
        """Run each of them to its end; all are checked before the first."""
        job = self._known.get(request.job) or _loaded(request.job)
        schema, defaults = job.parameters.model_dump_for_openapi(), job.job_type.parameters
        if request.queue is not None and request.queue not in queues():
            raise ParameterError(unknown("queue", request.queue, queues()))
        due = due_at(request.delay, request.at, now=self.now)
        ready = [
            (item, {**defaults, **checked(request.job, item.parameters, schema, defaults)}) for item in request.items
        ]
        return [self._accepted(job, item, parameters, request.queue, due) for item, parameters in ready]

    def _accepted(
        self, job: Job[..., Any], item: Item, parameters: dict[str, Any], queue: str | None, due: datetime | None
    ) -> InlineJob:
        key = item.key or f"inline-{uuid4()}"
        if there := self._ran.get((job.job_type.name, key)):
            return replace(there, new=False)
        self.now = max(self.now, due or self.now)
        made = _Run(self, job, parameters, key).to_its_end(
            InlineJob(
                id=uuid4(),
                job=job.job_type.name,
                name=f"{job.job_type.name}-{len(self) + 1}",
                key=item.key,
                new=True,
                due=due,
                parameters=parameters,
                queue=queue or job.job_type.queue,
                state="Running",
                message="",
                tries=0,
                waits=(),
                attempts=0,
                executions={},
            )
        )
        self._ran[job.job_type.name, key] = made
        return made


class _Run:
    """One job from its first attempt to its end."""

    def __init__(self, jobs: InlineJobs, job: Job[..., Any], parameters: dict[str, Any], key: str) -> None:
        self._jobs, self._job, self._parameters, self._key = jobs, job, parameters, key
        self._attempts = 0
        self._tries = 0
        self._steps = InlineSteps(lambda: jobs.now, jobs.advance, job.result_serializer)

    def to_its_end(self, accepted: InlineJob) -> InlineJob:
        end: dict[str, Any] = {}
        attempt: Attempt | None = self._attempt(accepted.id, SpentTries(), self._jobs.now)
        while attempt is not None:
            try:
                with running(attempt), self._steps:
                    value = as_stored(self._called(), self._job.result_serializer, f"job {accepted.job!r}", "@job")
            except Exception as error:  # noqa: BLE001  (whatever a job raises is decided by its policy)
                attempt, end = self._after(attempt, error)
            else:
                notify("finished", attempt, result=value)
                attempt, end = None, {"state": COMPLETED.capitalize(), "value": value}
        return replace(
            accepted,
            tries=self._tries,
            waits=tuple(self._steps.waits),
            attempts=self._attempts,
            executions=dict(self._steps.executions),
            **end,
        )

    def _after(self, attempt: Attempt, error: Exception) -> tuple[Attempt | None, dict[str, Any]]:
        """The attempt that follows, if one does, or how the job ended."""
        decision, failed = attempt.decide(error, draw=MIDDLE)
        self._tries = decision.tries
        if isinstance(decision, GiveUp):
            notify("failed", attempt, error=error)
            return None, {"state": DEAD_LETTER, "message": decision.message, "error": error}
        wait = decision.at - self._jobs.now
        self._steps.waits.append(wait)
        self._jobs.advance(wait)
        if attempt.waits_here(error, failed, wait.total_seconds()):
            attempt.spent = replace(attempt.spent, shared=decision.tries)
            return attempt, {}
        labels = attempt.counted(decision, failed, self._jobs.now)
        return self._attempt(attempt.id, SpentTries.of(labels), attempt.first_start), {}

    def _attempt(self, run_id: UUID, spent: SpentTries, first_start: datetime) -> Attempt:
        self._attempts += 1
        attempt = Attempt(
            id=run_id,
            key=self._key,
            job=self._job.job_type,
            policy=self._job.job_type.policy,
            spent=spent,
            first_start=first_start,
            parameters=self._parameters,
            reports=False,
            now=lambda: self._jobs.now,
        )
        notify("started", attempt)
        return attempt

    def _called(self) -> Any:
        given = self._job.validate_parameters(self._parameters)
        args, kwargs = parameters_to_args_kwargs(self._job.function, given)
        if not inspect.iscoroutinefunction(self._job.function):
            return self._job.function(*args, **kwargs)
        # A test may have a loop of its own.
        with ThreadPoolExecutor(1) as thread:
            here = contextvars.copy_context()
            return thread.submit(here.run, asyncio.run, self._job.function(*args, **kwargs)).result()


@contextmanager
def inline(*jobs: Job[..., Any], start: datetime | None = None) -> Iterator[InlineJobs]:
    """Let whatever is asked for inside run at once, in this process, to its end: `with redrive.testing.inline() as jobs:`.

    Args:
        jobs: those that are asked for by name and stand in no catalog.
        start: the time by the clock; now if not given.
    """
    made = InlineJobs(jobs, start or datetime.now(UTC))
    before = PRODUCING.place, STEPS.runner
    PRODUCING.place = made
    STEPS.runner = STEPS.runner or InlineSteps(lambda: made.now, made.advance, None)
    try:
        with disable_run_logger():
            yield made
    finally:
        PRODUCING.place, STEPS.runner = before


def _loaded(name: str) -> Job[..., Any]:
    """The job of a catalog's entry."""
    found = job_type(name)
    module, _, function = found.entrypoint.rpartition(".")
    job: Callable[..., Any] = getattr(importlib.import_module(module), function)
    if not isinstance(job, Job):
        raise CatalogError(f"job type {name!r}: {found.entrypoint} is not decorated with @job")
    return job
