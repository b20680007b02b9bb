"""What the ledger says, as Prometheus reads it: dead letters, and how the keeper does its duties.

Danger: an age of the keeper must grow while nobody is there to write it. The ledger gives it by its own clock, and what passed
since it was read is added by a monotonic one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from redrive.dashboards.exporter.gauge import age, gauge
from redrive.dashboards.exporter.snapshot import Snapshot

STATUSES = ("open", "redriven", "resolved", "discarded")


def dead_letters(now: Snapshot, clock: datetime) -> Iterator[Metric]:
    """How many there are, and for how long the oldest open ones have been so."""
    queues = sorted({*(one.queue for one in now.depths), *(total.queue for total in now.dead)})
    counts = Counter({(queue, status): 0 for queue in queues for status in STATUSES})
    for total in now.dead:
        counts[total.queue, total.status] += total.count
    yield gauge(
        "queue_dead_letters",
        "Dead letters in the ledger.",
        ["queue", "status"],
        (([queue, status], float(count)) for (queue, status), count in sorted(counts.items())),
    )
    oldest: dict[str, datetime] = {}
    for (queue, _), since in now.oldest_dead.items():
        oldest[queue] = min(since, oldest.get(queue, since))
    yield gauge(
        "queue_dead_letter_oldest_seconds",
        "Seconds since the oldest open dead letter failed; 0 if none is open.",
        ["queue"],
        (([queue], age(oldest.get(queue), clock)) for queue in queues),
    )
    yield gauge(
        "queue_job_dead_letter_oldest_seconds",
        "Seconds since the oldest open dead letter of a job type failed; absent if none is open.",
        ["queue", "job"],
        (([queue, job], age(since, clock)) for (queue, job), since in sorted(now.oldest_dead.items())),
    )


def keeper(now: Snapshot, since_read: float) -> Iterator[Metric]:
    """How the keeper does its duties; `since_read`: seconds since the ledger was read."""
    yield gauge(
        "queue_keeper_duty_age_seconds",
        "Seconds since any keeper last did this duty, by the ledger's clock.",
        ["duty"],
        (([duty.duty], duty.age + since_read) for duty in now.duties),
    )
    yield gauge(
        "queue_keeper_duty_every_seconds",
        "Seconds between two rounds of this duty, as the keeper means to do it.",
        ["duty"],
        (([duty.duty], duty.every) for duty in now.duties),
    )
    yield gauge(
        "queue_uncollected_failures",
        "Failed jobs that the latest audit found and that are not in the ledger yet.",
        [],
        [([], float(now.audit.uncollected))],
    )


def audit_found(now: Snapshot) -> Metric:
    """What the tail had missed."""
    family = CounterMetricFamily("queue_audit_found", "Failed jobs that only an audit found.", labels=[])
    family.add_metric([], float(now.audit.found))
    return family
