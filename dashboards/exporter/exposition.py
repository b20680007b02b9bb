"""The snapshot as Prometheus reads it. Names and labels are a contract: dashboards and alerts hang on them.

Danger: no label may come from a job's data, or from names without a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from redrive.blocks.core.histogram import INFINITE
from redrive.dashboards.exporter.gauge import age, gauge
from redrive.dashboards.exporter.ledger_figures import audit_found, dead_letters, keeper
from redrive.dashboards.exporter.snapshot import Snapshot
from redrive.deployments.dead_letters.ledger.finishes import (
    FAILED,
    HISTOGRAMS,
    JOBS,
    LAST,
    REASONS,
    RESCUES,
    RETRIES,
    SUM,
    Key,
)

#: Seconds after which a figure of now is no figure of now any more: it is left out, and `queue_exporter_up` is 0.
STALE = 60.0

#: Pairs of queue and job type that have counters before a job of that type went through that queue; with more pairs each has
#: them from its first job on. A pair is a dozen series.
EARLY = 600

OUTCOMES = ("completed", "cancelled", "dead")

_HISTOGRAMS = {
    "duration": ("queue_jobs_processing_duration_seconds", "Seconds a finished job ran, all its attempts together."),
    "wait": ("queue_jobs_wait_seconds", "Seconds a finished job had waited from due to its first start."),
    "tries": ("queue_job_tries", "Tries a finished job took."),
}
_BY_JOB = ["queue", "job"]


def is_up(now: Snapshot, at: float) -> bool:
    """Whether every duty works and the figures are fresh; `at` is a monotonic clock, seconds."""
    return not now.failing and all(_fresh(read, at) for read in (now.counted, now.ledger_read, now.depths_read))


def families(now: Snapshot, at: float, clock: datetime) -> Iterator[Metric]:
    """Everything, in the order of the contract.

    Args:
        at: monotonic clock, seconds.
        clock: the time here; it is set right by the server's.
    """
    yield from totals(now)
    yield from gauges(now, at, clock)


def totals(now: Snapshot) -> Iterator[Metric]:
    """What is added up: it depends on the counts and the names that are known, and on no clock."""
    if now.ledger_read is not None:
        yield from _counters(now)
        yield from _histograms(now.counts)
        yield _last_finished(now.counts)
        yield audit_found(now)


def gauges(now: Snapshot, at: float, clock: datetime) -> Iterator[Metric]:
    """What is so now; arguments as of `families`."""
    clock += timedelta(seconds=now.clock_offset)
    if _fresh(now.depths_read, at):
        yield from _depth(now, clock)
        yield from _workers(now)
    if now.ledger_read is not None and _fresh(now.ledger_read, at):
        yield from dead_letters(now, clock)
        yield from keeper(now, at - now.ledger_read)
    yield _overdue(now, clock)
    yield from _exporter(now, at)


def _fresh(read: float | None, at: float) -> bool:
    return read is not None and at - read <= STALE


def _counters(now: Snapshot) -> Iterator[Metric]:
    for metric, name, detail, label, values in (
        (JOBS, "queue_jobs", "Finished jobs by outcome.", "status", OUTCOMES),
        (FAILED, "queue_jobs_failed", "Dead letters by reason, each new one and each reopening.", "reason", REASONS),
        (RETRIES, "queue_job_retries", "Tries that failed and were followed by another one.", None, ("",)),
        (
            RESCUES,
            "queue_jobs_rescued",
            "Jobs taken back from a dead process or worker and started again.",
            None,
            ("",),
        ),
    ):
        family = CounterMetricFamily(name, detail, labels=[*_BY_JOB, *([label] if label else [])])
        known = {(queue, job, value): 0.0 for queue, job in _kinds(now) for value in values}
        for (kept, queue, job, value), count in now.counts.items():
            if kept == metric:
                known[queue, job, value] = count
        for (queue, job, value), count in sorted(known.items()):
            family.add_metric([queue, job, *([value] if label else [])], count)
        yield family


def _kinds(now: Snapshot) -> set[tuple[str, str]]:
    """By queue and job type: what has counters. One that is born with its first failure shows no increase, so no alert sees it."""
    known = {*now.kinds, *((queue, job) for _, queue, job, _ in now.counts)}
    anywhere = {(one.queue, job) for one in now.depths for _, job in now.kinds}
    return known | anywhere if len(anywhere) <= EARLY else known


def _histograms(counts: Mapping[Key, float]) -> Iterator[Metric]:
    for histogram, (name, detail) in _HISTOGRAMS.items():
        family = HistogramMetricFamily(name, detail, labels=_BY_JOB)
        found: dict[tuple[str, str], Counter[float]] = {}
        for (metric, queue, job, bound), count in counts.items():
            if metric == histogram:
                found.setdefault((queue, job), Counter())[float(bound)] += count  # type: ignore[assignment]  # floats add up as well
        for (queue, job), buckets in sorted(found.items()):
            total = counts.get((histogram + SUM, queue, job, ""), 0.0)
            family.add_metric([queue, job], _cumulative(HISTOGRAMS[histogram], buckets), total)
        yield family


def _cumulative(bounds: Sequence[float], buckets: Mapping[float, float]) -> list[tuple[str, float]]:
    found = [(repr(float(bound)), sum(n for kept, n in buckets.items() if kept <= bound)) for bound in bounds]
    return [*found, (INFINITE, sum(buckets.values()))]


def _last_finished(counts: Mapping[Key, float]) -> Metric:
    latest: dict[str, float] = {}
    for (metric, queue, _, _), at in counts.items():
        if metric == LAST:
            latest[queue] = max(at, latest.get(queue, 0))
    return gauge(
        "queue_last_finished_timestamp_seconds",
        "When the last job of the queue ended, seconds since the epoch.",
        ["queue"],
        (([queue], at) for queue, at in sorted(latest.items())),
    )


def _depth(now: Snapshot, clock: datetime) -> Iterator[Metric]:
    for name, detail in (
        ("waiting", "Jobs that are due and have not started."),
        ("scheduled", "Jobs that are not due yet."),
        ("running", "Jobs under way, those that are starting included."),
        ("starting", "Jobs that a worker claimed and has not started."),
        ("retrying", "Jobs that wait for a next try."),
    ):
        values = [([one.queue], float(getattr(one, name))) for one in now.depths]
        yield gauge(f"queue_jobs_{name}", detail, ["queue"], values)
    for name, detail, since in (
        ("waiting", "Seconds that the longest waiting job is due; 0 if none waits.", "oldest"),
        ("running", "Seconds that the attempt under way for longest has run; 0 if none runs.", "oldest_running"),
        (
            "starting",
            "Seconds since the job claimed first of those that have not started was claimed; 0 if there is none.",
            "oldest_starting",
        ),
    ):
        ages = [([one.queue], age(getattr(one, since), clock)) for one in now.depths]
        yield gauge(f"queue_oldest_{name}_seconds", detail, ["queue"], ages)
    yield gauge(
        "queue_paused", "1 if the queue is paused.", ["queue"], (([one.queue], float(one.paused)) for one in now.depths)
    )
    yield gauge(
        "queue_paused_seconds",
        "Seconds since the queue was seen paused; 0 if it is not.",
        ["queue"],
        (([one.queue], age(now.paused_since.get(one.queue) if one.paused else None, clock)) for one in now.depths),
    )


def _workers(now: Snapshot) -> Iterator[Metric]:
    serves = {report.name: report.queues for report in now.reports}

    def serving(queue: str) -> list[str]:
        return [name for name in now.workers if not serves.get(name) or queue in serves[name]]

    yield gauge(
        "queue_workers",
        "Workers that are online and serve the queue.",
        ["queue"],
        (([one.queue], float(len(serving(one.queue)))) for one in now.depths),
    )
    slots = []
    for one in now.depths:
        # A worker serves several queues: its free slots are free for each of them, a busy one is busy for its job's.
        mine = [report for report in now.reports if not report.queues or one.queue in report.queues]
        if mine:
            busy = sum(slot.queue == one.queue for report in now.reports for slot in report.busy)
            free = sum(max(0, report.slots - len(report.busy)) for report in mine if not report.draining)
            slots += [([one.queue, "busy"], float(busy)), ([one.queue, "free"], float(free))]
    yield gauge(
        "queue_worker_slots",
        "Slots of workers: busy with jobs of the queue, or free for it and the other queues of that worker.",
        ["queue", "status"],
        slots,
    )
    spans = Counter[str]()
    for report in now.reports:
        spans.update(report.spans)
    yield gauge(
        "queue_worker_spans",
        "Spans of the workers that there are now, since each began: sent, dropped for want of room, refused by the receiver, waiting.",
        ["status"],
        [([status], float(count)) for status, count in sorted(spans.items())],
    )


def _overdue(now: Snapshot, clock: datetime) -> Metric:
    return gauge(
        "queue_schedule_overdue_seconds",
        "Seconds since a schedule should have made a run; 0 if it did.",
        _BY_JOB,
        (([queue, job], age(since, clock)) for (queue, job), since in sorted(now.missing.items())),
    )


def _exporter(now: Snapshot, at: float) -> Iterator[Metric]:
    if now.counted is not None:
        yield gauge(
            "queue_exporter_lag_seconds",
            "Seconds since every finished job was counted.",
            [],
            [([], max(0.0, at - now.counted))],
        )
    yield gauge(
        "queue_exporter_up",
        "1 if the exporter reaches Prefect and the ledger and its figures are fresh.",
        [],
        [([], float(is_up(now, at)))],
    )
    yield gauge(
        "queue_exporter_clock_offset_seconds",
        "Seconds that the Prefect server's clock is ahead of the exporter's; less than 2 counts as 0.",
        [],
        [([], now.clock_offset)],
    )
