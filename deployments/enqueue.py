"""Asking for work: `enqueue("mail", {...}, key="invoice-7")` makes one job, however often it is called with that key.

Danger: a key is remembered as long as Prefect keeps the run; after retention has deleted it, the same key makes a new job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from redrive.deployments.accepted import Accepted, wait_for
from redrive.deployments.job_request import Delay, Item, JobRequest

__all__ = ["Accepted", "Item", "enqueue", "enqueue_many", "wait_for"]


class Acceptor(Protocol):
    """Another place than Prefect where jobs are accepted: tests run them at once."""

    def accept(self, request: JobRequest) -> list[Accepted[Any]]: ...

    def know(self, job: Any) -> None: ...


class _Producing:
    """Where this process asks for jobs: at Prefect if `place` is None."""

    place: Acceptor | None = None


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
        UnknownJob, ParameterError: with what would fit.
        ApiUnavailable: nothing was accepted, or it says that this is not known and which key to ask again with.
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
        as `enqueue`; if the API becomes unavailable in the middle, what was accepted stays, and keys make asking again safe.
    """
    wanted = [item if isinstance(item, Item) else Item(parameters=item) for item in items]
    request = JobRequest(job=job, items=wanted, queue=queue, delay=delay, at=at, tags=tags)
    if PRODUCING.place is not None:
        return PRODUCING.place.accept(request)
    from redrive.deployments.acceptance import accept  # noqa: PLC0415  (what talks to Prefect; whoever imports this asks later)

    return accept(request)
