"""Our trace contexts as OpenTelemetry's, and back."""

from __future__ import annotations

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanContext, TraceFlags

from redrive.blocks.core.trace_context import TraceContext


def around(parent: TraceContext) -> otel_context.Context:
    """A context in which that span is under way."""
    return trace.set_span_in_context(trace.NonRecordingSpan(as_span_context(parent)), otel_context.Context())


def as_span_context(at: TraceContext) -> SpanContext:
    """As OpenTelemetry has it."""
    return SpanContext(
        int(at.trace_id, 16), int(at.span_id, 16), is_remote=True, trace_flags=TraceFlags(int(at.sampled))
    )


def trace_context_of(context: SpanContext) -> TraceContext | None:
    """As we have it; None if it is of no span."""
    if not context.is_valid:
        return None
    return TraceContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", sampled=context.trace_flags.sampled)
