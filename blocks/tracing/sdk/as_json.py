"""Spans as JSON: how a job's process hands them to its worker, cleaned of what must not leave.

Danger: the worker reads what a job's process wrote; one that cannot be read is dropped.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from redrive.blocks.tracing import names
from redrive.blocks.tracing.hidden import Hidden

Json = dict[str, Any]

#: Bytes of one span's texts together; what is beyond is left out, so that a queue of spans has a bound.
SPAN_LIMIT = 32_768
#: Attributes, events and links of a span that are kept: the specification's defaults.
COUNT_LIMIT = 128
#: Bytes that are counted for a span besides its texts, and for each of its events, links and attributes.
OVERHEAD, PART = 512, 64


def written(span: ReadableSpan, hidden: Hidden) -> Json:
    """A span, ended or just begun, as it may leave."""
    context, budget = span.get_span_context(), _Budget(SPAN_LIMIT)
    assert context is not None  # noqa: S101  (a span that was started has one)
    scope = span.instrumentation_scope
    ours = scope is not None and scope.name == names.SCOPE
    return {
        "name": budget.take(span.name if ours else hidden.text(span.name)),
        "trace": f"{context.trace_id:032x}",
        "span": f"{context.span_id:016x}",
        "flags": int(context.trace_flags),
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "kind": span.kind.value,
        "start": span.start_time,
        "end": span.end_time,
        "status": [span.status.status_code.value, budget.take(hidden.text(span.status.description or ""))],
        "attributes": budget.attributes(span.attributes, hidden),
        "events": [
            [event.name, event.timestamp, budget.attributes(event.attributes, hidden)]
            for event in list(span.events)[-COUNT_LIMIT:]
        ],
        "links": [
            [
                f"{link.context.trace_id:032x}",
                f"{link.context.span_id:016x}",
                int(link.context.trace_flags),
                budget.attributes(link.attributes, hidden),
            ]
            for link in list(span.links)[:COUNT_LIMIT]
        ],
        "scope": [scope.name, scope.version or "", scope.schema_url or ""] if scope else ["", "", ""],
        "size": budget.used + OVERHEAD,
    }


def read(raw: Json, resource: Resource) -> ReadableSpan:
    """A span as an exporter takes it.

    Raises:
        KeyError, TypeError, ValueError: it cannot be read.
    """
    context = _context(raw["trace"], raw["span"], raw["flags"])
    name, version, schema = raw["scope"]
    code, message = raw["status"]
    return ReadableSpan(
        name=raw["name"],
        context=context,
        parent=_context(raw["trace"], raw["parent"], raw["flags"]) if raw["parent"] else None,
        resource=resource,
        attributes=raw["attributes"],
        events=[Event(name, attributes=attributes, timestamp=at) for name, at, attributes in raw["events"]],
        links=[Link(_context(trace, one, flags), attributes) for trace, one, flags, attributes in raw["links"]],
        kind=SpanKind(raw["kind"]),
        status=Status(StatusCode(code), message or None if code == StatusCode.ERROR.value else None),
        start_time=int(raw["start"]),
        end_time=int(raw["end"]),
        instrumentation_scope=InstrumentationScope(name, version or None, schema or None),
    )


def _context(trace: str, span: str, flags: int) -> SpanContext:
    return SpanContext(
        int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(flags), trace_state=TraceState()
    )


class _Budget:
    """Bytes that may still be used."""

    def __init__(self, limit: int) -> None:
        self._left = self._limit = limit

    @property
    def used(self) -> int:
        return self._limit - self._left

    def take(self, text: str) -> str:
        size = _size(text)
        if size > self._left:
            text = text.encode(errors="replace")[: max(0, self._left)].decode(errors="ignore")
            size = _size(text)
        self._left -= size
        return text

    def attributes(self, given: Any, hidden: Hidden) -> Json:
        kept: Json = {}
        self._left -= PART
        for key, value in list((given or {}).items())[:COUNT_LIMIT]:
            clean = hidden.value(key, value)
            texts = clean if isinstance(clean, list) else [clean]
            size = len(key) + sum(_size(str(one)) + PART // 8 for one in texts)
            if size <= self._left:
                self._left -= size
                kept[key] = clean
        return kept


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
