"""How the last hours went, from the ledger's own sums by time: jobs done and failed, how long they waited and ran.

Percentiles are read from the buckets of the histograms, as Prometheus' `histogram_quantile` does: between two bounds in a straight line.
The sum of what was counted bounds them: one job that ran 6 s is 6 s, not a place between 5 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Any, Final

from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.dead_letters.ledger.finishes import HISTOGRAMS, INFINITE, SUM
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
            f"{name}_p{int(quantile * 100)}": [
                percentile(_buckets(one, name), quantile, name, total=_sum(one, name + SUM)) for one in points
            ]
            for name in ("wait", "duration")
            for quantile in QUANTILES
        },
        "began": began.timestamp() if began and began > first else None,
    }


@dataclass(frozen=True, kw_only=True)
class Lately:
    """What finished in a stretch of time: how many, how many of them as dead letters, and the 95th percentiles in seconds."""

    finished: int
    failed: int
    duration_p95: float | None
    wait_p95: float | None


def lately(counts: Counts, job: str, length: timedelta, now: datetime) -> Lately:
    """Of one job type, in all its queues."""
    step = MINUTE if length <= SPANS["1h"].length else QUARTER
    parts = counts.since(begin_of(now - length, step), step=step, job=job)
    p95 = {
        name: percentile(_buckets(parts, name), 0.95, name, total=_sum(parts, name + SUM))
        for name in ("duration", "wait")
    }
    return Lately(
        finished=int(_sum(parts, "jobs")),
        failed=int(_sum(parts, "jobs", "dead")),
        duration_p95=p95["duration"],
        wait_p95=p95["wait"],
    )


def percentile(
    buckets: Mapping[str, float], quantile: float, histogram: str, *, total: float | None = None
) -> float | None:
    """The value below which this share of what was counted lies; None if nothing was. Above the last bound, that bound.

    `total` is the sum of the values. Those at or above the answer in its bucket cannot share more than what the sum leaves them, nor
    those up to it less.
    """
    number = sum(buckets.values())
    if not number:
        return None
    bounds = [0.0, *HISTOGRAMS[histogram]]
    rank, passed = quantile * number, 0.0
    for low, high in pairwise(bounds):
        here = buckets.get(repr(float(high)), 0.0)
        if here and passed + here >= rank:
            found = low + (high - low) * (rank - passed) / here
            return found if total is None else _bounded(found, (low, high), buckets, bounds, total, ceil(rank - passed))
        passed += here
    return bounds[-1]


def _bounded(
    found: float,
    between: tuple[float, float],
    buckets: Mapping[str, float],
    bounds: Sequence[float],
    total: float,
    place: int,
) -> float:
    """`found`, within what the sum allows for the value at this `place` (from 1) of its bucket."""
    low, high = between
    here = buckets[repr(float(high))]
    place = min(max(place, 1), int(here))
    counted = [(below, above, buckets.get(repr(float(above)), 0.0)) for below, above in pairwise(bounds)]
    beyond = buckets.get(INFINITE, 0.0)
    most = low + max(0.0, total - beyond * bounds[-1] - sum(below * n for below, _, n in counted)) / (here - place + 1)
    least = low if beyond else high - max(0.0, sum(above * n for _, above, n in counted) - total) / place
    return max(low, least, min(found, most, high))


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
