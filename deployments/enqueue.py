"""Asking for work: `enqueue("mail", {...}, key="invoice-7")` makes one job, however often it is called with that key.

Danger: a key is remembered as long as Prefect keeps the run; after retention has deleted it, the same key makes a new job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from redrive.blocks.core.durations import duration
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.tracing.spans import Follows
from redrive.deployments.accepted import Accepted, wait_for

__all__ = ["Accepted", "Item", "due_at", "enqueue", "enqueue_many", "wait_for"]

Delay = timedelta | float | str

#: Seconds in the past that a time still means "now": clocks differ, and `--at` of this very minute is meant well.
PAST = 60.0


@dataclass(frozen=True, kw_only=True)
class Item:
    """One job of `enqueue_many`.

    `labels` go onto its run, for whoever asks for it to find it by; in traces it `follows` other spans.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    follows: Sequence[Follows] = ()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks for with `enqueue_many`."""

    job: str
    items: list[Item]
    queue: str | None
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
    queue: str | None = None,
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
    queue: str | None = None,
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
    asked = Asked(job=job, items=wanted, queue=queue, delay=delay, at=at, tags=tags)
    if PRODUCING.place is not None:
        return PRODUCING.place.accept(asked)
    from redrive.deployments.acceptance import accept  # noqa: PLC0415  (what talks to Prefect; whoever imports this asks later)

    return accept(asked)


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
