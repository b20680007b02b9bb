"""One gauge with its values, and an age as one shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily


def gauge(name: str, detail: str, labels: Sequence[str], values: Iterable[tuple[list[str], float]]) -> Metric:
    """A gauge with these values, each with the values of its labels."""
    family = GaugeMetricFamily(name, detail, labels=labels)
    for where, value in values:
        family.add_metric(where, value)
    return family


def age(since: datetime | None, clock: datetime) -> float:
    """Seconds from then until now; 0 for nothing, and for a time to come."""
    return max(0.0, (clock - since).total_seconds()) if since else 0.0
