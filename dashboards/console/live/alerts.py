"""The alerts whose condition holds in the picture: the same names, thresholds and first steps as Prometheus' rules.

How long a condition must last is Prometheus' to judge; here it shows as soon as it holds. Rates over time are its own, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from redrive.blocks.core.counted import counted
from redrive.dashboards.alerts.limits import Severity, seconds
from redrive.dashboards.alerts.runbook import first_step
from redrive.dashboards.alerts.thresholds import QueueThresholds, Thresholds
from redrive.dashboards.console.live.picture import Books, Picture
from redrive.dashboards.console.live.sample import QueueNow, Sample
from redrive.deployments.health.keeper_health import keeper_health


@dataclass(frozen=True, kw_only=True)
class Firing:
    """One alert: what holds, and what to do first."""

    name: str
    severity: Severity
    said: str
    where: tuple[tuple[str, str], ...] = ()

    @property
    def step(self) -> str:
        """The first step of its runbook, for this place."""
        text = _first_step(self.name)
        for label, value in self.where:
            text = text.replace("{{ $labels." + label + " }}", value)
        return text


def firing(picture: Picture, now: datetime) -> list[Firing]:
    """The alerts, the urgent ones first."""
    limits = thresholds()
    found: list[Firing] = []
    if picture.sample is not None:
        found += _of_queues(picture.sample, picture.books, limits, now)
    if picture.books is not None:
        found += _of_books(picture.books, limits, now)
    if "exporter" in picture.gaps:
        found.append(
            Firing(
                name="RedriveExporterDown",
                severity=limits.exporter.down.severity,
                said="The exporter does not answer, so Prometheus sees nothing.",
            )
        )
    return sorted(found, key=lambda one: (one.severity != "critical", one.name))


def by_name(alerts: list[Firing]) -> list[tuple[Firing, list[Firing]]]:
    """The first of each name, with the others of that name: many job types may have the same trouble."""
    found: dict[str, list[Firing]] = {}
    for alert in alerts:
        found.setdefault(alert.name, []).append(alert)
    return [(first, others) for first, *others in found.values()]


def _of_queues(sample: Sample, books: Books | None, limits: Thresholds, now: datetime) -> Iterator[Firing]:
    for queue in sample.queues:
        mine = limits.queues.get(queue.name, limits.every_queue)
        yield from _of_queue(queue, mine, sample, now)
        pause = books.pauses.get(f"queue {queue.name}") if books else None
        if queue.paused and pause is not None and (now - pause.at).total_seconds() > seconds(mine.paused.age):
            yield _at(queue, "RedrivePausedTooLong", mine.paused.severity, f"is paused for more than {mine.paused.age}")


def _of_queue(queue: QueueNow, mine: QueueThresholds, sample: Sample, now: datetime) -> Iterator[Firing]:
    if queue.waiting > mine.depth.jobs:
        yield _at(
            queue,
            "RedriveQueueDeep",
            mine.depth.severity,
            f"has {counted(queue.waiting, 'job')} waiting, more than {mine.depth.jobs:,}",
        )
    if queue.oldest and not queue.paused and (now - queue.oldest).total_seconds() > seconds(mine.oldest_waiting.age):
        message = f"has a job that waits for more than {mine.oldest_waiting.age}"
        yield _at(queue, "RedriveOldestWaiting", mine.oldest_waiting.severity, message)
    if queue.waiting and sample.workers_known and not sample.workers and not sample.running:
        yield _at(
            queue,
            "RedriveNoWorker",
            mine.no_worker.severity,
            f"has {counted(queue.waiting, 'job')} waiting and no worker reports",
        )


def _of_books(books: Books, limits: Thresholds, now: datetime) -> Iterator[Firing]:
    by_queue: dict[str, int] = {}
    for total in books.totals:
        if total.status == "open":
            by_queue[total.queue] = by_queue.get(total.queue, 0) + total.count
    for queue, number in sorted(by_queue.items()):
        mine = limits.queues.get(queue, limits.every_queue).dead_letters
        if number > mine.open:
            yield Firing(
                name="RedriveDeadLetters",
                severity=mine.severity,
                said=f"Queue {queue} has {number:,} open failures, more than {mine.open:,}.",
                where=(("queue", queue),),
            )
    for breach in books.breaches:
        yield Firing(name=breach.alert, severity=breach.severity, said=breach.said, where=(("job", breach.job),))
    for (queue, job), since in sorted(books.oldest.items()):
        own = limits.job_types.get(job)
        mine_age = (own or limits.queues.get(queue, limits.every_queue)).dead_letter_age
        if (now - since).total_seconds() > seconds(mine_age.age):
            yield Firing(
                name="RedriveDeadLetterOld",
                severity=mine_age.severity,
                said=f"A failure of {job} in queue {queue} is open for more than {mine_age.age}.",
                where=(("queue", queue), ("job", job)),
            )
    health = keeper_health(books.duties)
    for late in health.late:
        yield Firing(
            name="RedriveKeeperLate",
            severity=limits.keeper.late.severity,
            said=f"The keeper's duty {late.title} is late.",
            where=(("duty", late.duty),),
        )
    if books.audit.uncollected:
        yield Firing(
            name="RedriveUncollected",
            severity=limits.keeper.uncollected.severity,
            said=f"Not in the ledger yet: {counted(books.audit.uncollected, 'failure')}.",
        )


def _at(queue: QueueNow, name: str, severity: Severity, message: str) -> Firing:
    return Firing(name=name, severity=severity, said=f"Queue {queue.name} {message}.", where=(("queue", queue.name),))


@cache
def thresholds() -> Thresholds:
    return Thresholds.read()


@cache
def _first_step(name: str) -> str:
    return first_step(name)
