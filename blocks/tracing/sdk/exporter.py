"""Sending spans by OTLP: the official exporters, as the `OTEL_EXPORTER_OTLP_*` variables set them up, behind an outbox."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from redrive.blocks.tracing.sdk import as_json
from redrive.blocks.tracing.sdk.outbox import Outbox
from redrive.blocks.tracing.switch import GRPC, protocol


def resource(component: str, instance: str) -> Resource:
    """Who sends: `component` of Redrive, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` name it otherwise."""
    given = Resource.create()
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ours = {
        SERVICE_NAMESPACE: "redrive",
        SERVICE_VERSION: version("redrive"),
        SERVICE_INSTANCE_ID: instance,
        "host.name": socket.gethostname(),
        **({} if named else {SERVICE_NAME: f"redrive-{component}"}),
    }
    if named:
        return Resource(ours).merge(given)
    return given.merge(Resource(ours))


class SpanOutbox:
    """Takes spans as JSON and sends them, in the name of a resource."""

    def __init__(self, who: Resource) -> None:
        self._who = who
        # At once: gRPC ends with the interpreter, in the turn in which it was loaded, and what is flushed then needs it.
        self._exporter = _exporter()
        self.outbox: Outbox[as_json.Json] = Outbox(self._send, what="spans")

    def put(self, span: as_json.Json) -> None:
        self.outbox.put(span, int(span.get("size") or as_json.OVERHEAD))

    def finish(self, seconds: float) -> None:
        """Send what is left, within so many seconds. What hangs then is cut off: gRPC aborts a process that ends with a call under way."""
        self.outbox.flush(seconds)
        self._exporter.shutdown()

    def _send(self, batch: Sequence[as_json.Json]) -> bool:
        spans: list[ReadableSpan] = []
        for raw in batch:
            try:
                spans.append(as_json.read(raw, self._who))
            except (KeyError, TypeError, ValueError):
                # A job's own process wrote it, in a form that is none.
                continue
        with suppress_instrumentation():
            return self._exporter.export(spans) is SpanExportResult.SUCCESS


def _exporter() -> SpanExporter:
    # Each failed request is a warning there, and retried; what is lost in the end is counted and told here.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
    if protocol() == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp  # noqa: PLC0415

    return OverHttp()
