"""How the last hours went, from the ledger's own sums by time: jobs done and failed, how long they waited and ran.

Percentiles are read from the buckets of the histograms, as Prometheus' `histogram_quantile` does: between two bounds in a straight line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.dead_letters.ledger.finishes import HISTOGRAMS
from redrive.deployments.dead_letters.ledger.history import MINUTE, QUARTER, Counted, begin_of


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time that is shown: its length, the step that is read, and the seconds of one point."""

    length: timedelta
    step: int
    point: int


SPANS: Final = {
    "1h": Span(length=timedelta(hours=1), step=MINUTE, point=MINUTE),
    "24h": Span(length=timedelta(hours=24), step=QUARTER, point=QUARTER),
    "7d": Span(length=timedelta(days=7), step=QUARTER, point=2 * 3600),
}
QUANTILES: Final = (0.5, 0.95)


def series(counts: Counts, span: Span, now: datetime, *, job: str | None = None) -> dict[str, Any]:
    """The points of the charts: `at` in seconds since the epoch, and for each its figures; `began` is where counting began."""
    first = begin_of(now - span.length, span.point)
    parts: dict[datetime, list[Counted]] = {}
    for one in counts.since(first, step=span.step, job=job):
        parts.setdefault(begin_of(one.at, span.point), []).append(one)
    at, moment = [], first
    while moment <= now:
        at.append(moment)
        moment += timedelta(seconds=span.point)
    points = [parts.get(one, []) for one in at]
    began = counts.began()
    return {
        "at": [int(one.timestamp()) for one in at],
        "point": span.point,
        "completed": [_sum(one, "jobs", "completed") for one in points],
        "failed": [_sum(one, "jobs", "dead") for one in points],
        "retries": [_sum(one, "retries") for one in points],
        **{
            f"{name}_p{int(quantile * 100)}": [percentile(_buckets(one, name), quantile, name) for one in points]
            for name in ("wait", "duration")
            for quantile in QUANTILES
        },
        "began": began.timestamp() if began and began > first else None,
    }


def percentile(buckets: Mapping[str, float], quantile: float, histogram: str) -> float | None:
    """The value below which this share of what was counted lies; None if nothing was. Above the last bound, that bound."""
    total = sum(buckets.values())
    if not total:
        return None
    bounds = [0.0, *HISTOGRAMS[histogram]]
    rank, passed = quantile * total, 0.0
    for low, high in pairwise(bounds):
        here = buckets.get(repr(float(high)), 0.0)
        if here and passed + here >= rank:
            return low + (high - low) * (rank - passed) / here
        passed += here
    return bounds[-1]


def _sum(parts: Sequence[Counted], metric: str, label: str | None = None) -> float:
    return sum(
        amount
        for part in parts
        for name, amount in part.counts.get(metric, {}).items()
        if label is None or name == label
    )


def _buckets(parts: Sequence[Counted], histogram: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in parts:
        for bound, amount in part.counts.get(histogram, {}).items():
            found[bound] = found.get(bound, 0.0) + amount
    return found
