"""The process's tracer: makes spans, and gives each that ended to whoever sends it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, NoOpTracer, SpanKind, Status, StatusCode, Tracer

from redrive.blocks.core.trace_context import TraceContext
from redrive.blocks.tracing import names
from redrive.blocks.tracing.exceptions import exception_lines, without_exceptions
from redrive.blocks.tracing.hidden import LONGEST, Hidden
from redrive.blocks.tracing.links import Follows
from redrive.blocks.tracing.open_span import Value
from redrive.blocks.tracing.sdk import as_json
from redrive.blocks.tracing.sdk.contexts import around, as_span_context, trace_context_of
from redrive.blocks.tracing.sdk.exporter import SpanOutbox, resource
from redrive.blocks.tracing.sdk.log_sender import LogOutbox
from redrive.blocks.tracing.span_sink import SpanSink
from redrive.blocks.tracing.switch import sends_logs

#: Seconds that a process which ends waits for its last spans to be taken.
LAST_SPANS = 2.0
#: Characters of a traceback that are looked at for what must not leave; its end is what is kept.
TRACEBACK = 3 * LONGEST
#: Prefect's own spans say of each run what ours say, with its parameters' names and the messages of its states.
_UNTRACED = frozenset({"prefect"})
_KINDS = {
    names.INTERNAL: SpanKind.INTERNAL,
    names.CLIENT: SpanKind.CLIENT,
    names.PRODUCER: SpanKind.PRODUCER,
    names.CONSUMER: SpanKind.CONSUMER,
}

_given: ContextVar[TraceContext | None] = ContextVar("redrive_span_identity", default=None)


class _Ids(RandomIdGenerator):
    """Random, unless whoever starts a span names it."""

    def generate_span_id(self) -> int:
        given = _given.get()
        return int(given.span_id, 16) if given else super().generate_span_id()

    def generate_trace_id(self) -> int:
        given = _given.get()
        return int(given.trace_id, 16) if given else super().generate_trace_id()


class _ToSink(SpanProcessor):
    def __init__(self, sink: SpanSink) -> None:
        self._sink = sink
        self.hidden = Hidden.of_job({})

    def on_start(self, span: Span, parent_context: Any = None) -> None:  # noqa: ARG002  (the SDK's signature)
        scope = span.instrumentation_scope
        if scope is not None and scope.name == names.SCOPE:
            self._sink(as_json.written(span, self.hidden), ended=False)

    def on_end(self, span: ReadableSpan) -> None:
        self._sink(as_json.written(span, self.hidden), ended=True)


class _Provider(TracerProvider):
    def get_tracer(self, instrumenting_module_name: str, *arguments: Any, **options: Any) -> Tracer:
        if instrumenting_module_name in _UNTRACED:
            return NoOpTracer()
        return super().get_tracer(instrumenting_module_name, *arguments, **options)


class _Ours:
    """The tracer of this process, once there is one."""

    tracer: Tracer | None = None
    provider: _Provider | None = None
    to_sink: _ToSink | None = None
    lines: LogOutbox | None = None


def send_spans_to(sink: SpanSink) -> None:
    """Trace in this process, and give each span to `sink`."""
    _Ours.to_sink = _ToSink(sink)
    limits = SpanLimits(max_attribute_length=LONGEST * 4)
    _Ours.provider = _Provider(id_generator=_Ids(), span_limits=limits, shutdown_on_exit=False)
    _Ours.provider.add_span_processor(_Ours.to_sink)
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(_Ours.provider)
    _Ours.tracer = _tracer_of(_Ours.provider)


def send_by_itself(component: str) -> None:
    """Trace in this process, and send from it; at its end what is left, within `LAST_SPANS` seconds."""
    who = resource(component, f"{os.getpid()}")
    outbox, lines = SpanOutbox(who), LogOutbox(who) if sends_logs() else None
    _Ours.lines = lines

    def put(span: as_json.Json, *, ended: bool) -> None:
        if not ended:
            return
        if lines:
            for line in exception_lines(span):
                lines.put(line)
            span = without_exceptions(span)
        outbox.put(span)

    send_spans_to(put)
    atexit.register(_finish, [box.finish for box in (outbox, lines) if box])


def _finish(boxes: Sequence[Callable[[float], None]]) -> None:
    """All at once: a process that ends waits for the slowest of them, not for one after the other."""
    # What is cut off then is an error to the exporters.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    ends = [threading.Thread(target=finish, args=(LAST_SPANS,), daemon=True) for finish in boxes]
    for end in ends:
        end.start()
    for end in ends:
        end.join(2 * LAST_SPANS)


def put_line(line: as_json.Json) -> None:
    """Send a line of the job's log, cleaned, where this process sends by itself and logs are asked for."""
    if _Ours.lines:
        _Ours.lines.put(line)


def is_begun() -> bool:
    """Whether this process has a tracer of ours."""
    return _Ours.tracer is not None


def hide(hidden: Hidden) -> None:
    """What is hidden in spans from now on."""
    if _Ours.to_sink:
        _Ours.to_sink.hidden = hidden


def hidden() -> Hidden:
    """What is hidden now."""
    return _Ours.to_sink.hidden if _Ours.to_sink else Hidden(everything=True)


def provider() -> TracerProvider | None:
    """Ours, for instrumentations."""
    return _Ours.provider


def start(
    name: str,
    kind: int,
    attributes: Mapping[str, Value | None],
    *,
    links: Sequence[Follows],
    root: bool,
    parent: TraceContext | None,
    identity: TraceContext | None,
) -> _Open:
    """See `spans.started`."""
    token = _given.set(identity)
    try:
        made = _tracer().start_span(
            name,
            context=around(parent) if parent else otel_context.Context() if root else None,
            kind=_KINDS[kind],
            attributes={key: value for key, value in attributes.items() if value is not None},
            links=[Link(as_span_context(link.what), {names.LINK: link.how}) for link in links],
        )
    finally:
        _given.reset(token)
    return _Open(made)


def current() -> TraceContext | None:
    """The span under way in this context."""
    return trace_context_of(trace.get_current_span().get_span_context())


class _Open:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext | None:
        return trace_context_of(self._span.get_span_context())

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        self._span.set_attributes({key: value for key, value in attributes.items() if value is not None})

    def failed(self, error: BaseException | None = None, *, kind: str = "", message: str = "") -> None:
        if error is None:
            self._span.set_attribute(names.ERROR_TYPE, kind)
            self._span.set_status(Status(StatusCode.ERROR, message))
            return
        kind = _kind_of(error)
        self._span.set_attribute(names.ERROR_TYPE, kind)
        text = "".join(traceback.format_exception(error))[-TRACEBACK:]
        self._span.add_event(
            names.EXCEPTION,
            {names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: str(error), names.EXCEPTION_STACKTRACE: text},
        )
        self._span.set_status(Status(StatusCode.ERROR, str(error)))

    @contextmanager
    def within(self) -> Iterator[None]:
        token = otel_context.attach(trace.set_span_in_context(self._span))
        try:
            yield
        finally:
            otel_context.detach(token)

    def end(self) -> None:
        self._span.end()


def _tracer() -> Tracer:
    if _Ours.tracer is None:
        there = trace.get_tracer_provider()
        if isinstance(there, trace.ProxyTracerProvider):
            send_by_itself(os.environ.get("REDRIVE_COMPONENT") or "client")
        else:
            # An application that traces by itself: what it asks us for is its own.
            _Ours.tracer = _tracer_of(there)
    assert _Ours.tracer is not None  # noqa: S101  (both ways set it)
    return _Ours.tracer


def _tracer_of(provider: trace.TracerProvider) -> Tracer:
    return provider.get_tracer(names.SCOPE, version("redrive"), schema_url=names.SCHEMA)


def _kind_of(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"
    )
