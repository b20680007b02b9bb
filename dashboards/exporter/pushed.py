"""The figures over OTLP, for those without Prometheus: the same that a scrape gets, sent in regular intervals. Off unless asked for.

With delta temporality (as Datadog wants it) a counter's figure is what was added since the last time. What was told last is kept in
the ledger, so a restart neither repeats nor leaves out; only what was sent in the moment of a kill may be told twice.

Danger: the very first time nothing is added: what was counted before anybody listened is no event of that minute.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from prometheus_client import Metric

from redrive.blocks.core.errors import RedriveError

log = logging.getLogger("redrive.exporter")

#: Under which the ledger keeps what was told last.
CURSOR = "otlp-metrics"
#: Milliseconds between two times, if `OTEL_METRIC_EXPORT_INTERVAL` says nothing: the specification's default.
INTERVAL = 60_000

#: Figures of one request: vendors take 1 MB (New Relic), and a histogram under two names is some 1,000 bytes.
POINTS = 800

Temporality = Literal["cumulative", "delta"]
Series = dict[str, list[float]]


class Remembers(Protocol):
    """Where texts are kept by name, as the ledger does."""

    def cursor(self, name: str) -> str | None: ...

    def set_cursor(self, name: str, value: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Point:
    """One figure: of a `sum` or `gauge` one value; of a `histogram` the count of each bucket, then their sum.

    `since` and `at` are nanoseconds; `bounds` the upper ends of the buckets but the last.
    """

    name: str
    kind: Literal["sum", "gauge", "histogram"]
    description: str
    labels: Mapping[str, str]
    values: list[float]
    since: int
    at: int
    bounds: tuple[float, ...] = ()


Send = Callable[[list[Point], Temporality], bool]


def temporality(environ: Mapping[str, str] | None = None) -> Temporality:
    """How counters are told, by the specification's own variable."""
    environ = os.environ if environ is None else environ
    given = environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    return "delta" if given in {"delta", "lowmemory"} else "cumulative"


class Pushed:
    """Sends the figures that `read` gives."""

    def __init__(
        self, kept: Remembers, read: Callable[[], Iterable[Metric]], send: Send, *, how: Temporality = "cumulative"
    ) -> None:
        self._kept, self._read, self._send, self._how = kept, read, send, how

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        every = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or INTERVAL) / 1000
        while not stop.wait(every):
            try:
                if not self.push(time.time_ns()):
                    log.warning("the receiver did not take the metrics; what was added is told with the next ones")
            except RedriveError as error:
                log.warning("metrics could not be sent: %s", error)
            except Exception:  # a figure nobody foresaw must not end the exporter
                log.exception("metrics could not be sent")

    def push(self, now: int) -> bool:
        """Send once; whether it was taken."""
        families = list(self._read())
        if not families:
            # Nothing was read yet since the start.
            return True
        before = json.loads(self._kept.cursor(CURSOR) or "null")
        totals = {
            key: values
            for family in families
            for key, (_, values, _) in _series(family).items()
            if family.type != "gauge"
        }
        if before is None:
            before = {"began": now, "at": now, "totals": totals if self._how == "delta" else {}}
        points = [point for family in families for point in _points(family, before, now, self._how)]
        told = dict(before["totals"])
        taken = True
        for some in (points[at : at + POINTS] for at in range(0, max(1, len(points)), POINTS)):
            if not self._send(some, self._how):
                taken = False
                break
            # What is not there now, of a job type that was removed say, may come again and then is not new.
            told |= {key: totals[key] for point in some if (key := _key(point.name, point.labels)) in totals}
            # Until all was taken the time of the last one stands: stretches may overlap, what was added is told once.
            kept = {"began": before["began"], "at": before["at"], "totals": told}
            self._kept.set_cursor(CURSOR, json.dumps(kept))
        if taken:
            self._kept.set_cursor(
                CURSOR, json.dumps({"began": before["began"], "at": now, "totals": {**told, **totals}})
            )
        return taken


def _points(family: Metric, before: Mapping[str, Any], now: int, how: Temporality) -> Iterable[Point]:
    for key, (labels, values, bounds) in _series(family).items():
        if family.type == "gauge":
            yield Point(
                name=family.name,
                kind="gauge",
                description=family.documentation,
                labels=labels,
                values=values,
                since=0,
                at=now,
            )
            continue
        told, since = values, int(before["began"])
        if how == "delta":
            told, since = _added(values, before["totals"].get(key)), int(before["at"])
            if not any(told):
                continue
        kind: Literal["histogram", "sum"] = "histogram" if family.type == "histogram" else "sum"
        yield Point(
            name=family.name,
            kind=kind,
            description=family.documentation,
            labels=labels,
            values=told,
            since=since,
            at=now,
            bounds=bounds,
        )


def _added(now: list[float], before: list[float] | None) -> list[float]:
    """What came since; all of it if there was none before, or if counting began anew."""
    if before is None or len(before) != len(now) or any(new < old for new, old in zip(now, before, strict=True)):
        return now
    return [new - old for new, old in zip(now, before, strict=True)]


def _series(family: Metric) -> dict[str, tuple[dict[str, str], list[float], tuple[float, ...]]]:
    """By name and labels: the labels, the values as `Point` has them, and the bounds of buckets."""
    if family.type == "histogram":
        return _histograms(family)
    return {
        _key(family.name, sample.labels): (sample.labels, [sample.value], ())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _histograms(family: Metric) -> dict[str, tuple[dict[str, str], list[float], tuple[float, ...]]]:
    buckets: dict[str, list[tuple[float, float]]] = {}
    sums: dict[str, float] = {}
    known: dict[str, dict[str, str]] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        key = _key(family.name, labels)
        known[key] = labels
        if sample.name.endswith("_bucket"):
            buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    found = {}
    for key, some in buckets.items():
        ordered = sorted(some)
        upto = [count for _, count in ordered]
        # Prometheus counts what is at most so much; OTLP what lies in between.
        each = [count - less for count, less in zip(upto, [0.0, *upto], strict=False)]
        found[key] = (known[key], [*each, sums.get(key, 0.0)], tuple(bound for bound, _ in ordered[:-1]))
    return found


def _key(name: str, labels: Mapping[str, str]) -> str:
    return json.dumps([name, *sorted(labels.items())])
