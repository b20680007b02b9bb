"""Spans as the rest of Redrive opens them. While tracing is off each is `NOTHING`, and `opentelemetry` is not imported."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from redrive.blocks.core.trace_context import TraceContext
from redrive.blocks.tracing.links import Follows
from redrive.blocks.tracing.open_span import NOTHING, OpenSpan, Value
from redrive.blocks.tracing.switch import is_on

log = logging.getLogger("redrive.tracing")


def started(
    name: str,
    kind: int,
    attributes: Mapping[str, Value | None],
    *,
    links: Sequence[Follows] = (),
    root: bool = False,
    parent: TraceContext | None = None,
    identity: TraceContext | None = None,
) -> OpenSpan:
    """A span from now on; whoever starts it ends it.

    Args:
        name: with no data in it.
        kind: as `names` has it.
        links: spans that it follows.
        root: the first of a trace of its own; otherwise a child of the span under way, or of `parent`.
        identity: what its trace and itself are to be called, of a root.
    """
    if not is_on():
        return NOTHING
    try:
        from redrive.blocks.tracing.sdk.provider import start  # noqa: PLC0415  (only when tracing is on)

        return start(name, kind, attributes, links=links, root=root, parent=parent, identity=identity)
    except Exception:  # a variable that does not fit, say: nobody asks for a job, or does one, for its trace
        log.warning("a span cannot be made; jobs go on", exc_info=True)
        return NOTHING


@contextmanager
def span(name: str, kind: int, attributes: Mapping[str, Value | None]) -> Iterator[OpenSpan]:
    """A span around what runs inside, a child of the one under way; it fails with what that raises."""
    opened = started(name, kind, attributes)
    try:
        with opened.within():
            yield opened
    except Exception as error:
        opened.failed(error)
        raise
    finally:
        opened.end()
