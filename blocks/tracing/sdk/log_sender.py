"""Sending lines of jobs' logs by OTLP, each with its trace, behind an outbox as spans are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from redrive.blocks.tracing import names
from redrive.blocks.tracing.sdk.outbox import Outbox
from redrive.blocks.tracing.switch import GRPC, protocol

Json = dict[str, Any]

#: Bytes that a line has beyond its texts.
OVERHEAD = 512
#: Python's levels, from the highest, and the numbers that OpenTelemetry gives their like.
_SEVERITIES = (
    (50, "CRITICAL", SeverityNumber.FATAL),
    (40, "ERROR", SeverityNumber.ERROR),
    (30, "WARN", SeverityNumber.WARN),
    (20, "INFO", SeverityNumber.INFO),
    (0, "DEBUG", SeverityNumber.DEBUG),
)


class LogOutbox:
    """Takes lines as JSON and sends them, in the name of a resource."""

    def __init__(self, who: Resource) -> None:
        self._who = who
        # At once, as spans have it.
        self._exporter = _exporter()
        self.outbox: Outbox[Json] = Outbox(self._send, what="lines of logs")

    def put(self, line: Json) -> None:
        self.outbox.put(line, size_of(line))

    def finish(self, seconds: float) -> None:
        """As that of spans."""
        self.outbox.flush(seconds)
        self._exporter.shutdown()

    def _send(self, batch: Sequence[Json]) -> bool:
        records = []
        for line in batch:
            try:
                records.append(_record(line, self._who))
            except (KeyError, TypeError, ValueError):
                # A job's own process wrote it, in a form that is none.
                continue
        with suppress_instrumentation():
            return bool(self._exporter.export(records).value == 0)


def size_of(line: Json) -> int:
    """Bytes of a line, about."""
    texts = (line.get("text", ""), *(part for pair in line.get("attributes", {}).items() for part in pair))
    return OVERHEAD + sum(len(str(text).encode(errors="replace")) for text in texts)


def _record(line: Json, who: Resource) -> ReadableLogRecord:
    _, text, number = next(one for one in _SEVERITIES if int(line["level"]) >= one[0])
    record = LogRecord(
        timestamp=int(line["at"]),
        observed_timestamp=int(line["at"]),
        context=_within(line.get("trace"), line.get("span")),
        severity_text=text,
        severity_number=number,
        body=str(line["text"]),
        attributes=line["attributes"],
        event_name=line.get("event"),
    )
    return ReadableLogRecord(record, who, InstrumentationScope(str(line["logger"]), schema_url=names.SCHEMA))


def _within(trace_id: str | None, span_id: str | None) -> Context:
    if not trace_id or not span_id:
        return Context()
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def _exporter() -> Any:
    if protocol() == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter  # noqa: PLC0415

        return OTLPLogExporter()
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp  # noqa: PLC0415

    return OverHttp()
