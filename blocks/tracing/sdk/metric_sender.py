"""Sending figures by OTLP: the official exporters, given points that somebody else counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from redrive.blocks.tracing import names
from redrive.blocks.tracing.sdk.exporter import resource
from redrive.blocks.tracing.switch import GRPC, protocol

#: Our histogram of how long jobs ran, which the conventions have a name for too.
PROCESSING = "queue_jobs_processing_duration_seconds"


class Figure(Protocol):
    """A figure as the exporter's `Point` is one."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def values(self) -> list[float]: ...
    @property
    def since(self) -> int: ...
    @property
    def at(self) -> int: ...
    @property
    def bounds(self) -> tuple[float, ...]: ...


def sender(component: str, instance: str) -> Callable[[Sequence[Figure], str], bool]:
    """Sends points of a temporality; whether they were taken."""
    exporter, who = metric_exporter(), resource(component, instance)

    def send(points: Sequence[Figure], temporality: str) -> bool:
        taken = exporter.export(data(points, temporality, who))
        return bool(taken is MetricExportResult.SUCCESS)

    return send


def data(points: Sequence[Figure], temporality: str, who: Resource) -> MetricsData:
    """The points as the SDK has them; those of one name together."""
    how = AggregationTemporality.DELTA if temporality == "delta" else AggregationTemporality.CUMULATIVE
    together: dict[tuple[str, str, str, str], list[Any]] = {}
    for one in points:
        unit = "s" if one.name.endswith("_seconds") else "1"
        together.setdefault((one.name, one.kind, one.description, unit), []).append(_point(one, dict(one.labels)))
        if one.name == PROCESSING:
            message = (names.PROCESS_DURATION, one.kind, "Duration of processing operation.", "s")
            together.setdefault(message, []).append(_point(one, _by_convention(one.labels)))
    metrics = [
        Metric(name=name, description=description, unit=unit, data=_data(kind, some, how))
        for (name, kind, description, unit), some in together.items()
    ]
    scope = InstrumentationScope(names.SCOPE, schema_url=names.SCHEMA)
    return MetricsData([ResourceMetrics(who, [ScopeMetrics(scope, metrics, names.SCHEMA)], names.SCHEMA)])


def _by_convention(labels: Mapping[str, str]) -> dict[str, str]:
    return {
        names.SYSTEM: "redrive",
        names.OPERATION: names.PROCESS,
        names.DESTINATION: labels.get("queue", ""),
        names.JOB: labels.get("job", ""),
    }


def _point(one: Figure, labels: dict[str, str]) -> NumberDataPoint | HistogramDataPoint:
    if one.kind != "histogram":
        return NumberDataPoint(labels, one.since, one.at, float(one.values[0]))
    *buckets, total = one.values
    counts = [int(count) for count in buckets]
    # The least and the greatest are not known: what was counted are the buckets. The protocol has both as optional.
    unknown: Any = None
    return HistogramDataPoint(labels, one.since, one.at, sum(counts), total, counts, one.bounds, unknown, unknown)


def _data(kind: str, points: list[Any], how: AggregationTemporality) -> Sum | Gauge | Histogram:
    if kind == "gauge":
        return Gauge(points)
    return Histogram(points, how) if kind == "histogram" else Sum(points, how, is_monotonic=True)


def metric_exporter() -> Any:
    """The official exporter, as the `OTEL_EXPORTER_OTLP_*` variables set it up."""
    if protocol() == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

        return OTLPMetricExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as OverHttp  # noqa: PLC0415

    return OverHttp()
