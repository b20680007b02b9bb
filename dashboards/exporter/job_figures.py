"""How long steps take and how much memory jobs have, as the warm workers count it; read in the background, as `platform` is.

Danger: Redis may be unavailable: then these figures alone are missing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import redis
from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from redrive.blocks.core.histogram import INFINITE, Histogram
from redrive.blocks.core.settings import Settings
from redrive.blocks.process.job_figures import MEMORY, RUN, STEP, Histograms, JobFigures

#: Seconds between two looks; the workers tell theirs as often.
EVERY = 5.0


class FiguresOfJobs(Collector):
    """Keeps what the workers counted; a scrape asks nobody."""

    def __init__(self, settings: Settings) -> None:
        self._figures = JobFigures(settings.valkey_url())
        self._found: Histograms = {}

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set."""
        while not stop.is_set():
            self.sample()
            stop.wait(EVERY)
        self._figures.close()

    def sample(self) -> None:
        """Read once. What was read before goes when Redis does: old counters would look like jobs that stand still."""
        try:
            self._found = self._figures.total()
        except redis.RedisError:
            self._found = {}

    def collect(self) -> Iterator[Metric]:
        """The figures of the latest look."""
        found = dict(self._found)
        yield from families(found)


def families(found: Histograms) -> Iterator[Metric]:
    """What was counted, as Prometheus takes it."""
    for metric, name, detail, labels in (
        (RUN, "queue_job_attempt_seconds", "How long an attempt of a job ran in a warm worker.", ["job"]),
        (STEP, "queue_job_step_seconds", "How long one execution of a step took in a warm worker.", ["job", "step"]),
        (MEMORY, "queue_job_memory_bytes", "The most memory an attempt of a job had to itself.", ["job"]),
    ):
        family = HistogramMetricFamily(name, detail, labels=labels)
        for series, histogram in sorted(found.items()):
            if series.metric == metric:
                family.add_metric([series.job, series.step][: len(labels)], list(_cumulative(histogram)), histogram.sum)
        yield family


def _cumulative(histogram: Histogram) -> Iterable[tuple[str, float]]:
    count = 0.0
    for bound in histogram.bounds:
        count += histogram.buckets.get(repr(float(bound)), 0.0)
        yield repr(float(bound)), count
    yield INFINITE, count + histogram.buckets.get(INFINITE, 0.0)
