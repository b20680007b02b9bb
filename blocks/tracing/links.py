"""Links between spans: the one that another one follows, and how."""

from __future__ import annotations

from dataclasses import dataclass

from redrive.blocks.core.trace_context import TraceContext


@dataclass(frozen=True)
class Follows:
    """A span that another one follows; `how` is a value of `redrive.link`."""

    what: TraceContext
    how: str


def follows(traceparent: object, how: str) -> tuple[Follows, ...]:
    """A link to what a label names; none if it names no span."""
    found = TraceContext.read(traceparent)
    return (Follows(found, how),) if found else ()
