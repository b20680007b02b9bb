"""How the last hours went, from the ledger's own sums by time: jobs done and failed, how long they waited and ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from redrive.blocks.core import histogram as histograms
from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.dead_letters.ledger.finishes import HISTOGRAMS, SUM
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
    """The value below which this share of what was counted lies, in one of the ledger's histograms."""
    return histograms.percentile(buckets, quantile, HISTOGRAMS[histogram], total=total)


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
