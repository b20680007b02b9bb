"""How long attempts of jobs and their steps take, and how much memory they have: histograms in Redis (Valkey), by job type and step.

The warm workers count here, because nobody else sees steps and memory; the ledger counts how jobs end. All that was ever counted is
one hash, for counters; and one for each hour, which goes after a week.

Danger: a display. Redis may be unavailable, or lose it all; counting then begins anew, and no job is decided by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import redis

from redrive.blocks.core.histogram import Histogram
from redrive.blocks.process.step_times import SECONDS, StepTimes
from redrive.blocks.process.worker_report import PATIENCE

#: Of one attempt of a job, seconds; of one execution of a step, seconds; of one attempt, bytes at most.
RUN, STEP, MEMORY = "run", "step", "memory"
MEGABYTE: Final = 1024 * 1024
#: Upper bounds, bytes.
BYTES: Final = tuple(MEGABYTE * size for size in (32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192))
BOUNDS: Final[Mapping[str, tuple[float, ...]]] = {RUN: SECONDS, STEP: SECONDS, MEMORY: BYTES}

#: All that was counted; and of the hour that begins then, in hours since 1970.
TOTAL: Final = "redrive:figures"
HOUR: Final = "redrive:figures:{hour}"
#: How long hours are kept.
KEPT: Final = timedelta(days=8)
#: Job types, and steps of one, that one worker counts by name; those beyond are `other`.
NAMES: Final = 200
OTHER: Final = "other"
_SUM: Final = "sum"


class Series(NamedTuple):
    """What a histogram is of; `step` is empty unless `metric` is `STEP`."""

    metric: str
    job: str
    step: str = ""


Histograms = dict[Series, Histogram]


class Counting:
    """What was counted since it was last taken."""

    def __init__(self) -> None:
        self._counted: Histograms = {}
        self._names: dict[str, set[str]] = {}

    def attempt(self, job: str, *, seconds: float, memory: int, steps: StepTimes) -> None:
        """An attempt of a job that ended; `memory` is 0 where nobody measured it."""
        job = self._known("", job)
        self._observe(Series(RUN, job), seconds)
        if memory:
            self._observe(Series(MEMORY, job), memory)
        for step, (buckets, total) in steps.items():
            self._add(Series(STEP, job, self._known(job, step)), Histogram(SECONDS, dict(buckets), total))

    def take(self) -> Histograms:
        taken, self._counted = self._counted, {}
        return taken

    def put_back(self, taken: Histograms) -> None:
        """It could not be told."""
        for series, histogram in taken.items():
            self._add(series, histogram)

    def _observe(self, series: Series, value: float) -> None:
        self._counted.setdefault(series, Histogram(BOUNDS[series.metric])).observe(value)

    def _add(self, series: Series, histogram: Histogram) -> None:
        self._counted.setdefault(series, Histogram(histogram.bounds)).include(histogram)

    def _known(self, of: str, name: str) -> str:
        names = self._names.setdefault(of, set())
        if name in names or len(names) < NAMES:
            names.add(name)
            return name
        return OTHER


class JobFigures:
    """The histograms of all workers, in one Redis. Each raises `redis.RedisError` when that is unavailable."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)

    def add(self, counted: Histograms, now: datetime) -> None:
        """Add what a worker counted, all of it or nothing."""
        hour = HOUR.format(hour=hour_of(now))
        with self._redis.pipeline(transaction=True) as pipeline:
            for key in (TOTAL, hour):
                for series, histogram in counted.items():
                    for label, count in histogram.buckets.items():
                        pipeline.hincrbyfloat(key, json.dumps([*series, label]), count)
                    pipeline.hincrbyfloat(key, json.dumps([*series, _SUM]), histogram.sum)
            pipeline.expire(hour, KEPT)
            pipeline.execute()

    def total(self) -> Histograms:
        """All that was ever counted."""
        return _read([self._redis.hgetall(TOTAL)])  # type: ignore[list-item]  # its stub has the asynchronous client's answer too

    def since(self, length: timedelta, now: datetime | None = None) -> Histograms:
        """What was counted lately, in whole hours: the last one may be short, so one more is read."""
        now = now or datetime.now(UTC)
        last = hour_of(now)
        with self._redis.pipeline(transaction=False) as pipeline:
            for hour in range(last - max(1, round(length / timedelta(hours=1))), last + 1):
                pipeline.hgetall(HOUR.format(hour=hour))
            return _read(pipeline.execute())

    def close(self) -> None:
        self._redis.close()


def hour_of(at: datetime) -> int:
    """The hour of a time, in hours since 1970."""
    return int(at.timestamp() // 3600)


def _read(hashes: Iterable[Mapping[bytes, bytes]]) -> Histograms:
    found: Histograms = {}
    for one in hashes:
        for key, value in one.items():
            metric, job, step, label = json.loads(key)
            if metric not in BOUNDS:
                # A worker of another version.
                continue
            histogram = found.setdefault(Series(metric, job, step), Histogram(BOUNDS[metric]))
            if label == _SUM:
                histogram.sum += float(value)
            else:
                histogram.buckets[label] = histogram.buckets.get(label, 0) + float(value)
    return found
