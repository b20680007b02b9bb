"""Asking for work: `enqueue("mail", {...}, key="invoice-7")` makes one job, however often it is called with that key.

Danger: a key is remembered as long as Prefect keeps the run; after retention has deleted it, the same key makes a new job.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from redrive.blocks.core.durations import duration
from redrive.blocks.core.errors import Conflict, NotFound, ParameterError, UnknownJob
from redrive.blocks.core.nearest import unknown
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.deployment import Deployment
from redrive.blocks.prefect.requests import deployments
from redrive.blocks.prefect.run_labels import ASKED, DRAWN, KEY
from redrive.blocks.prefect.run_requests import batches, made
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import SCHEDULED, state
from redrive.deployments.accepted import Accepted, wait_for
from redrive.deployments.catalog import job_type
from redrive.deployments.job_type import QUEUES, Queue
from redrive.deployments.parameters import checked
from redrive.deployments.removed import is_removed

__all__ = ["Accepted", "Item", "deployment_of", "due_at", "enqueue", "enqueue_many", "wait_for"]

Delay = timedelta | float | str

#: Seconds a deployment is remembered, so that a producer's loop does not read it for every job.
DEPLOYMENT_SECONDS = 30.0
#: Seconds in the past that a time still means "now": clocks differ, and `--at` of this very minute is meant well.
PAST = 60.0
_deployments: dict[str, tuple[float, Deployment]] = {}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One job of `enqueue_many`. `labels` go onto its run, for whoever asks for it to find it by."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks for with `enqueue_many`."""

    job: str
    items: list[Item]
    queue: Queue | None
    delay: Delay | None
    at: datetime | None
    tags: Sequence[str]


class Place(Protocol):
    """Another place than Prefect where jobs are accepted: tests run them at once."""

    def accept(self, asked: Asked) -> list[Accepted[Any]]: ...

    def know(self, job: Any) -> None: ...


class _Producing:
    """Where this process asks for jobs: at Prefect if `place` is None."""

    place: Place | None = None


PRODUCING = _Producing()


def enqueue(
    job: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    queue: Queue | None = None,
    delay: Delay | None = None,
    at: datetime | None = None,
    tags: Sequence[str] = (),
) -> Accepted[Any]:
    """Ask for one job and return when it is durable.

    Args:
        job: name of the job type.
        parameters: what its flow takes; dates, enums, UUIDs, decimals, paths, dataclasses and pydantic models arrive as equal ones.
        key: idempotency key: equal keys of one job type make one job. Without one, a key is drawn for this request, so that
            a connection that breaks before the answer came makes one job too.
        queue: instead of the job type's own.
        delay: from now until it is due: seconds, a timedelta, or text like `10m`.
        at: the time it is due; not both.
        tags: Prefect's tags of the run.

    Raises:
        UnknownJob, ParameterError: with what would fit. ApiUnavailable: nothing was accepted, or it says that this is not known
            and which key to ask again with.
    """
    return enqueue_many(job, [Item(parameters=parameters or {}, key=key)], queue=queue, delay=delay, at=at, tags=tags)[
        0
    ]


def enqueue_many(
    job: str,
    items: Iterable[Item | Mapping[str, Any]],
    *,
    queue: Queue | None = None,
    delay: Delay | None = None,
    at: datetime | None = None,
    tags: Sequence[str] = (),
) -> list[Accepted[Any]]:
    """Ask for many jobs of one type, a hundred a call; all are checked before the first is created.

    Args:
        items: `Item`s, or plain parameters of jobs without a key. Otherwise as `enqueue`.

    Raises:
        as `enqueue`; if the API goes away in the middle, what was accepted stays, and keys make asking again safe.
    """
    wanted = [item if isinstance(item, Item) else Item(parameters=item) for item in items]
    if queue is not None and queue not in QUEUES:
        raise ParameterError(unknown("queue", queue, QUEUES))
    if PRODUCING.place is not None:
        return PRODUCING.place.accept(Asked(job=job, items=wanted, queue=queue, delay=delay, at=at, tags=tags))
    due = due_at(delay, at)
    with reachable():
        deployment = deployment_of(job)
        schema, defaults = deployment.parameter_openapi_schema, deployment.parameters
        bodies = [
            _body(item, checked(job, item.parameters, schema, defaults), queue=queue, due=due, tags=tags)
            for item in wanted
        ]
        accepted: list[Accepted[Any]] = []
        for batch in batches(bodies):
            try:
                runs = made(deployment.id, batch)
            except NotFound:
                # Deleted since it was read.
                _deployments.pop(job, None)
                raise _not_registered(job) from None
            accepted += [_accepted(job, run, body) for run, body in zip(runs, batch, strict=True)]
        return accepted


def deployment_of(job: str) -> Deployment:
    """The deployment of a job type.

    Raises:
        UnknownJob: no such job type. Conflict: it is in the catalog but not registered yet.
    """
    remembered = _deployments.get(job)
    if remembered and time.monotonic() - remembered[0] < DEPLOYMENT_SECONDS:
        return remembered[1]
    answer = ask(deployments.named(job, job).or_none())
    if answer is None:
        raise _not_registered(job)
    found = Deployment.of(answer)
    if is_removed(found):
        raise UnknownJob(
            f"job type {job!r} was removed from the catalog, so no new job of it is accepted: "
            f"list it in JOBS again and run `redrive up`, or delete its deployment"
        )
    _deployments[job] = (time.monotonic(), found)
    return found


def _not_registered(job: str) -> Conflict:
    # Only now is the catalog needed: a producer may ask for job types whose code it does not have.
    known = job_type(job)
    return Conflict(
        f"job type {known.name!r} is not registered with Prefect (any more): run `redrive up` or `prefect deploy --all`"
    )


def due_at(delay: Delay | None, at: datetime | None, *, now: datetime | None = None) -> datetime | None:
    """When a job with this delay or time is due; None for at once.

    Raises:
        ParameterError: both are given, or it lies in the past, or further than calendars go.
    """
    if delay is not None and at is not None:
        raise ParameterError("give a delay or a time, not both")
    try:
        if delay is not None:
            wait = _delay(delay)
            if wait < timedelta(0):
                raise ParameterError(f"a delay of {wait.total_seconds():g} s lies in the past; give 0 or more")
            return (now or SERVER_CLOCK.now()) + wait
        due = at.astimezone(UTC) if at is not None else None
    except (OverflowError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(
            f"no calendar goes as far as {delay if at is None else at}; give an earlier time"
        ) from None
    now = now or SERVER_CLOCK.now()
    if due is not None and (now - due).total_seconds() > PAST:
        raise ParameterError(
            f"{due:%Y-%m-%d %H:%M:%S}Z lies in the past (it is {now:%Y-%m-%d %H:%M:%S}Z); give a time to come"
        )
    return due


def _delay(delay: Delay) -> timedelta:
    match delay:
        case str():
            return duration("delay", delay)
        case timedelta():
            return delay
        case _:
            return timedelta(seconds=delay)


def _body(
    item: Item, parameters: dict[str, Any], *, queue: Queue | None, due: datetime | None, tags: Sequence[str]
) -> dict[str, Any]:
    if "\x00" in (item.key or ""):
        raise ParameterError(f"the key {item.key!r} holds a NUL character, which no database keeps")
    # A drawn key is the job's key in every way: one request, repeated because its answer was lost, makes one job.
    key = item.key or f"{DRAWN}{uuid4()}"
    body: dict[str, Any] = {
        "parameters": parameters,
        "state": state(SCHEDULED, at=due),
        "tags": list(tags),
        "labels": {ASKED: uuid4().hex, KEY: key, **item.labels},
        "idempotency_key": key,
    }
    if queue:
        body["work_queue_name"] = queue
    return body


def _accepted(job: str, run: dict[str, Any], body: dict[str, Any]) -> Accepted[Any]:
    scheduled = ((run.get("state") or {}).get("state_details") or {}).get("scheduled_time")
    return Accepted(
        id=UUID(run["id"]),
        job=job,
        name=run.get("name", ""),
        key=None if body["idempotency_key"].startswith(DRAWN) else body["idempotency_key"],
        new=(run.get("labels") or {}).get(ASKED) == body["labels"][ASKED],
        due=datetime.fromisoformat(scheduled) if scheduled else None,
    )
