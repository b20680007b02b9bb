"""What is counted of a job: its outcomes, its retries and rescues, how long it waited and ran. Pure arithmetic.

A job may end more than once: a dead letter that is redriven and completes ended twice, and is two finishes. What Prefect keeps
of a run (time it ran, labels) goes on from one finish to the next, so what was counted before is taken off.

Danger: buckets are kept in the database by their upper bound. A bound that is taken away moves its counts into the next one up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from redrive.blocks.core.histogram import bucket_of

#: The outcomes: what `queue_jobs_total` has as its status.
Status = Literal["completed", "cancelled", "dead"]

#: Why jobs die (`Death.reason`); whatever else may come is counted as `other`.
REASONS: Final = ("tries", "permanent", "deadline", "crash", "unstartable", "cancelled")
OTHER: Final = "other"

#: Upper bounds, seconds: from jobs that only send a mail to those that copy a database.
DURATION: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
#: Upper bounds, seconds: from a worker that is warm to a queue that was paused over lunch.
WAIT: Final = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)
#: Upper bounds, tries.
TRIES: Final = (1, 2, 3, 4, 5, 7, 10, 20)

JOBS: Final = "jobs"
FAILED: Final = "failed"
RETRIES: Final = "retries"
RESCUES: Final = "rescues"
#: The latest end, seconds since the epoch: not added up, the greatest counts.
LAST: Final = "last"
HISTOGRAMS: Final[dict[str, tuple[float, ...]]] = {"duration": DURATION, "wait": WAIT, "tries": TRIES}
#: The name of a histogram's sum, whose label is empty.
SUM: Final = "_sum"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What counts are kept by."""

    queue: str
    job: str


@dataclass(frozen=True, kw_only=True)
class InProgress:
    """A job that is not done yet: its retries and rescues so far, all counted since it was last redriven (`since`)."""

    run_id: UUID
    kind: Kind
    retries: int = 0
    rescues: int = 0
    since: str = ""


@dataclass(frozen=True, kw_only=True)
class Finish(InProgress):
    """One end of a job. `ran`: seconds its attempts ran together; `waited`: seconds from due to its first start, if it started."""

    at: datetime
    status: Status
    reason: str = ""
    ran: float = 0.0
    waited: float | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What was counted of a job before. `spent`: its retries at its last end; `started`: whether its wait was counted; `done`:
    whether it completed or was cancelled, so that nothing more is expected of it.
    """

    since: str = ""
    retries: int = 0
    rescues: int = 0
    spent: int = 0
    ran: float = 0.0
    started: bool = False
    done: bool = False


#: Metric, queue, job, label.
Key = tuple[str, str, str, str]


class Sums:
    """What one transaction adds: `amounts` to what is there, `latest` in its place if it is greater."""

    def __init__(self) -> None:
        self.latest: dict[Key, float] = {}
        self._amounts: dict[Key, float] = {}

    def add(self, metric: str, kind: Kind, label: str = "", amount: float = 1) -> None:
        key = (metric, kind.queue, kind.job, label)
        self._amounts[key] = self._amounts.get(key, 0) + amount

    def observe(self, histogram: str, kind: Kind, value: float) -> None:
        self.add(histogram, kind, bucket_of(HISTOGRAMS[histogram], value))
        self.add(histogram + SUM, kind, amount=value)

    def last(self, kind: Kind, at: datetime) -> None:
        key = (LAST, kind.queue, kind.job, "")
        self.latest[key] = max(self.latest.get(key, 0), at.timestamp())

    def include(self, other: Sums) -> None:
        """Add what another one has."""
        for key, amount in other._amounts.items():
            self._amounts[key] = self._amounts.get(key, 0) + amount
        for key, at in other.latest.items():
            self.latest[key] = max(self.latest.get(key, 0), at)

    def amounts(self) -> Iterator[tuple[Key, float]]:
        """In the order of their keys: everybody locks in one order."""
        yield from sorted((key, amount) for key, amount in self._amounts.items() if amount)


def count_in_progress(job: InProgress, before: Progress, sums: Sums) -> Progress:
    """Count the retries and rescues that came since `before`; returns what was counted now."""
    base = before if before.since == job.since else Progress(ran=before.ran, started=before.started)
    sums.add(RETRIES, job.kind, amount=max(0, job.retries - base.retries))
    sums.add(RESCUES, job.kind, amount=max(0, job.rescues - base.rescues))
    return Progress(
        since=job.since,
        retries=max(job.retries, base.retries),
        rescues=max(job.rescues, base.rescues),
        spent=base.spent,
        ran=base.ran,
        started=base.started,
        done=before.done,
    )


def count_finish(job: Finish, before: Progress, sums: Sums) -> Progress:
    """Count one end of a job; returns what was counted of it now."""
    counted = count_in_progress(job, before, sums)
    sums.add(JOBS, job.kind, job.status)
    sums.last(job.kind, job.at)
    if job.status == "dead":
        sums.add(FAILED, job.kind, job.reason if job.reason in REASONS else OTHER)
    if job.waited is not None:
        sums.observe("duration", job.kind, max(0.0, job.ran - before.ran))
        sums.observe("tries", job.kind, 1 + max(0, counted.retries - counted.spent))
        if not before.started:
            # A clock of a producer that is ahead of the server's makes jobs start before they are due.
            sums.observe("wait", job.kind, max(0.0, job.waited))
    return Progress(
        since=counted.since,
        retries=counted.retries,
        rescues=counted.rescues,
        spent=counted.retries,
        ran=max(job.ran, before.ran),
        started=before.started or job.waited is not None,
        done=job.status != "dead",
    )
