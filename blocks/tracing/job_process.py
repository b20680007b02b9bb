"""Tracing in a process that runs jobs: what is instrumented there, who sends its spans, and what must not leave with them.

A child of a warm worker hands its spans to the worker, which sends those of all its jobs: then nothing of a job is lost with its
process, no job waits for a receiver, and no child has a thread or a connection for it. Elsewhere the process sends by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from redrive.blocks.core.trace_context import TraceContext
from redrive.blocks.tracing import names
from redrive.blocks.tracing.log_lines import marked
from redrive.blocks.tracing.span_sink import SpanSink
from redrive.blocks.tracing.switch import is_on, sends_logs

log = logging.getLogger("redrive.tracing")


class _Log:
    at: TraceContext | None = None


def send_spans_to(sink: SpanSink) -> None:
    """Send the spans of this process to `sink` from now on."""
    if not is_on():
        return
    try:
        from redrive.blocks.tracing.sdk import instruments, provider  # noqa: PLC0415  (only when tracing is on)

        provider.send_spans_to(sink)
        instruments.install()
    except Exception:  # a job needs no traces
        log.warning("this process cannot trace; its jobs run all the same", exc_info=True)


def begin(parameters: Mapping[str, Any], *, allowed: frozenset[str]) -> None:
    """A try of a job begins, with these parameters; values of those that are `allowed` may leave."""
    from redrive.blocks.tracing.hidden import Hidden  # noqa: PLC0415  (only when tracing is on)
    from redrive.blocks.tracing.sdk import instruments, provider  # noqa: PLC0415  (as above)

    if not provider.is_begun():
        from redrive.blocks.prefect.private import sending  # noqa: PLC0415  (a process that runs jobs has Prefect)

        def send(line: dict[str, Any]) -> None:
            if shown := shown_line(line):
                provider.put_line(shown)
            sending.send_log({**line, "message": marked(line["message"], trace_of_log())})

        provider.send_by_itself("job")
        instruments.install()
        sending.send_logs_by(send)
    provider.hide(Hidden.of_job(parameters, allowed=allowed))


def mark_log(at: TraceContext | None) -> None:
    """Lines that the job logs from now on are of this try, also those that Prefect's engine writes after its end."""
    _Log.at = at


def shown_line(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """A line of the job's log as it may leave, with where it belongs; None if logs are not asked for, or nothing is traced now."""
    if not sends_logs() or _Log.at is None:
        return None
    from redrive.blocks.tracing.sdk import provider  # noqa: PLC0415  (only when tracing is on)

    at = provider.current() or _Log.at
    return {
        "at": time.time_ns(),
        "level": line["level"],
        "logger": str(line["name"]),
        "text": provider.hidden().text(str(line["message"])),
        "trace": at.trace_id,
        "span": at.span_id,
        "attributes": {names.MESSAGE_ID: str(line.get("flow_run_id") or "")},
    }


def trace_of_log() -> str | None:
    """The trace of the try that this process runs, if it is traced."""
    return _Log.at.trace_id if _Log.at else None
