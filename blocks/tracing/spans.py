"""Spans as the rest of Redrive opens them. While tracing is off each is `NOTHING`, and `opentelemetry` is not imported."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from redrive.blocks.core.settings import settings
from redrive.blocks.tracing import names
from redrive.blocks.tracing.open_span import NOTHING, OpenSpan, Value
from redrive.blocks.tracing.switch import is_on
from redrive.blocks.tracing.trace_context import TraceContext

log = logging.getLogger("redrive.tracing")


@dataclass(frozen=True)
class Follows:
    """A span that another one follows; `how` is a value of `redrive.link`."""

    what: TraceContext
    how: str


def follows(traceparent: object, how: str) -> tuple[Follows, ...]:
    """A link to what a label names; none if it names no span."""
    found = TraceContext.read(traceparent)
    return (Follows(found, how),) if found else ()


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
        name: with no data in it. kind: as `names` has it.
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


def messaging(
    operation: str, destination: str, *, message_id: str | None = None, client_id: str | None = None
) -> dict[str, Value | None]:
    """The attributes that each span about a job has by the conventions.

    Args:
        operation: `create`, `process` or `settle`: its type, and what we call it.
        destination: the queue. message_id: the run. client_id: the worker.
    """
    return {
        names.SYSTEM: "redrive",
        names.OPERATION: operation,
        names.OPERATION_TYPE: operation,
        names.DESTINATION: destination,
        names.MESSAGE_ID: message_id,
        names.CLIENT_ID: client_id,
        **(broker() if is_on() else {}),
    }


def broker() -> dict[str, str | int]:
    """Where jobs are asked for and settled: Prefect's API."""
    parts = urlsplit(settings().api_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {names.SERVER_ADDRESS: parts.hostname or "", names.SERVER_PORT: port}
