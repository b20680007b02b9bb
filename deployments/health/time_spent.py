"""Where the workers' time goes: by job type and step, and which jobs took longest. What page, command and `--json` show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from redrive.blocks.core.errors import RedisUnavailable
from redrive.blocks.core.histogram import Histogram
from redrive.blocks.core.settings import Settings
from redrive.blocks.process.job_figures import MEMORY, RUN, STEP, Histograms, JobFigures, Series
from redrive.blocks.process.slowest import SlowAttempt, Slowest

#: Jobs that are shown.
SLOWEST = 20


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long something took: how often, the percentiles and all of it in seconds, and its `share` of what it is part of."""

    name: str
    count: int
    p50: float
    p95: float
    p99: float
    seconds: float
    share: float

    @classmethod
    def of(cls, name: str, histogram: Histogram, whole: float) -> Times:
        """What a histogram says of a part of so many seconds."""
        p50, p95, p99 = (histogram.at(quantile) or 0.0 for quantile in (0.5, 0.95, 0.99))
        share = histogram.sum / whole if whole else 0.0
        return Times(name=name, count=histogram.count, p50=p50, p95=p95, p99=p99, seconds=histogram.sum, share=share)


@dataclass(frozen=True, kw_only=True)
class TypeTimes(Times):
    """A job type's attempts; `memory_p95` in bytes. What is in no step has the share `outside`."""

    memory_p95: float | None
    steps: tuple[Times, ...]
    outside: float


@dataclass(frozen=True, kw_only=True)
class SlowJob:
    """One of the slowest: `times` is how many times its type's median it took, if that is known."""

    attempt: SlowAttempt
    times: float | None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Of a stretch of time: the job types, those first that took most of it; and the slowest jobs."""

    types: tuple[TypeTimes, ...]
    jobs: tuple[SlowJob, ...]


def time_spent(settings: Settings, length: timedelta, *, job: str | None = None, now: datetime | None = None) -> Spent:
    """What the warm workers counted lately, in whole hours; of one job type, or of all.

    Raises:
        RedisUnavailable: the workers' figures are kept there.
    """
    with _opened(settings) as (figures, slowest):
        found = figures.since(length, now)
        jobs = slowest.since(length, job=job, limit=SLOWEST, now=now)
    types = tuple(one for one in spent_by_type(found) if job in {None, one.name})
    medians = {one.name: one.p50 for one in types}
    return Spent(
        types=types,
        jobs=tuple(SlowJob(attempt=one, times=_times(one.seconds, medians.get(one.job))) for one in jobs),
    )


def spent_by_type(found: Histograms) -> list[TypeTimes]:
    """Job types with their steps, each with those first that took most."""
    runs = {series.job: histogram for series, histogram in found.items() if series.metric == RUN}
    whole = sum(histogram.sum for histogram in runs.values())
    types = [_of_type(job, histogram, found, whole) for job, histogram in runs.items()]
    return sorted(types, key=lambda one: (-one.seconds, one.name))


def _of_type(job: str, run: Histogram, found: Histograms, whole: float) -> TypeTimes:
    steps = {series.step: one for series, one in found.items() if series.metric == STEP and series.job == job}
    # Steps side by side take more time together than the attempt.
    inside = sum(one.sum for one in steps.values())
    all_of_it = max(run.sum, inside)
    memory = found.get(Series(MEMORY, job))
    parts = [Times.of(step, one, all_of_it) for step, one in steps.items()]
    own = Times.of(job, run, whole)
    return TypeTimes(
        name=job,
        count=own.count,
        p50=own.p50,
        p95=own.p95,
        p99=own.p99,
        seconds=own.seconds,
        share=own.share,
        memory_p95=memory.at(0.95) if memory else None,
        steps=tuple(sorted(parts, key=lambda one: -one.seconds)),
        outside=max(0.0, all_of_it - inside) / all_of_it if all_of_it else 0.0,
    )


def _times(seconds: float, median: float | None) -> float | None:
    return seconds / median if median else None


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[JobFigures, Slowest]]:
    figures, slowest = JobFigures(settings.valkey_url()), Slowest(settings.valkey_url())
    try:
        yield figures, slowest
    except redis.RedisError as error:
        raise RedisUnavailable from error
    finally:
        figures.close()
        slowest.close()
