"""Histograms with named buckets, and percentiles read from them.

As Prometheus' `histogram_quantile` does: between two bounds in a straight line. The sum of what was counted bounds them: one job that
ran 6 s is 6 s, not a place between 5 and 10.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Final

#: The bucket of what is above the last bound.
INFINITE: Final = "+Inf"


@dataclass
class Histogram:
    """Counts by bucket, and the sum of the values."""

    bounds: Sequence[float]
    buckets: dict[str, float] = field(default_factory=dict)
    sum: float = 0.0

    @property
    def count(self) -> int:
        return round(sum(self.buckets.values()))

    def at(self, quantile: float) -> float | None:
        """The value below which this share of the values lies; None if there are none."""
        return percentile(self.buckets, quantile, self.bounds, total=self.sum)

    def observe(self, value: float) -> None:
        label = bucket_of(self.bounds, value)
        self.buckets[label] = self.buckets.get(label, 0) + 1
        self.sum += value

    def include(self, other: Histogram) -> None:
        """Add what another one of the same bounds has counted."""
        for label, count in other.buckets.items():
            self.buckets[label] = self.buckets.get(label, 0) + count
        self.sum += other.sum


def bucket_of(bounds: Sequence[float], value: float) -> str:
    """The label of the bucket a value falls into: its upper bound."""
    place = bisect_left(bounds, value)
    return repr(float(bounds[place])) if place < len(bounds) else INFINITE


def percentile(
    buckets: Mapping[str, float], quantile: float, bounds: Sequence[float], *, total: float | None = None
) -> float | None:
    """The value below which this share of what was counted lies; None if nothing was. Above the last bound, that bound.

    `total` is the sum of the values. Those at or above the answer in its bucket cannot share more than what the sum leaves them, nor
    those up to it less.
    """
    number = sum(buckets.values())
    if not number:
        return None
    bounds = [0.0, *bounds]
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
