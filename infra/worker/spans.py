"""The spans of the jobs that run here: children hand them over as they end, and the worker sends those of all its jobs.

A span that began and did not end is of a process that died: the worker ends it, and says so.

Danger: what a child says was written in a process that runs somebody else's code; what cannot be read is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from redrive.blocks import sentry
from redrive.blocks.tracing import names
from redrive.blocks.tracing.exceptions import exception_lines, without_exceptions
from redrive.blocks.tracing.switch import is_on, sends_logs, sends_metrics

if TYPE_CHECKING:
    from redrive.blocks.tracing.sdk.exporter import SpanOutbox
    from redrive.blocks.tracing.sdk.log_sender import LogOutbox
    from redrive.blocks.tracing.sdk.operations import Operations

#: Seconds that a worker which stops waits for its last spans to be taken.
LAST_SPANS = 3.0
#: OpenTelemetry's number of the status ERROR.
_ERROR = 2


log = logging.getLogger("redrive.tracing")


class Spans:
    """What one worker sends. Nothing is loaded while tracing is off."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._out: SpanOutbox | None = None
        self._lines: LogOutbox | None = None
        self._operations: Operations | None = None
        #: Dropped by children, before they came here.
        self._dropped = 0

    def put(self, span: dict[str, Any]) -> None:
        if not is_on():
            return
        if self._out is None:
            from redrive.blocks.tracing.sdk.exporter import SpanOutbox, resource  # noqa: PLC0415  (only when tracing is on)

            self._out = SpanOutbox(resource("worker", self._worker))
        if sends_logs():
            for line in exception_lines(span):
                self.put_line(line)
            span = without_exceptions(span)
        self._out.put(span)

    def took(self, operation: str, queue: str, seconds: float, error_type: str | None) -> None:
        """A child's job asked for another one, or was settled."""
        if not sends_metrics():
            return
        if self._operations is None:
            from redrive.blocks.tracing.sdk.operations import Operations  # noqa: PLC0415  (only when metrics are sent)

            self._operations = Operations("worker", self._worker)
        self._operations.record(operation, queue, seconds, error_type)

    def put_line(self, line: dict[str, Any]) -> None:
        if not sends_logs():
            return
        if self._lines is None:
            from redrive.blocks.tracing.sdk.exporter import resource  # noqa: PLC0415  (as above)
            from redrive.blocks.tracing.sdk.log_sender import LogOutbox  # noqa: PLC0415  (as above)

            self._lines = LogOutbox(resource("worker", self._worker))
        self._lines.put(line)

    def dropped(self, count: int) -> None:
        """A child had more spans of a try than it may hand over."""
        self._dropped += count

    @property
    def counts(self) -> dict[str, int]:
        """How many were sent, dropped, refused and wait; empty while tracing is off."""
        if not is_on():
            return {}
        message = self._out.outbox.snapshot() if self._out else {"sent": 0, "dropped": 0, "refused": 0, "waiting": 0}
        return {**message, "dropped": message["dropped"] + self._dropped}

    async def end(self) -> None:
        """Send what is left."""
        boxes = (self._out, self._lines)
        sending = [asyncio.to_thread(box.finish, LAST_SPANS) for box in boxes if box]
        await asyncio.gather(*sending, *([asyncio.to_thread(self._operations.finish)] if self._operations else []))


class JobSpans:
    """The spans of one attempt."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._open: dict[str, dict[str, Any]] = {}

    def receive(self, message: dict[str, Any]) -> None:
        """What the child says of a span, or of a line of its job's log."""
        try:
            self._take(message)
        except Exception:  # what cannot be read or sent is lost; the worker is there for jobs
            log.warning("a span was lost", exc_info=True)
            self._spans.dropped(1)

    def _take(self, message: dict[str, Any]) -> None:
        if "line" in message:
            self._spans.put_line(message["line"])
            return
        if "failed" in message:
            # The SDK has a queue and a thread of its own.
            sentry.send([message["failed"]])
            return
        if "took" in message:
            operation, queue, seconds, error_type = message["took"]
            self._spans.took(str(operation), str(queue), float(seconds), error_type and str(error_type))
            return
        if "dropped" in message:
            self._spans.dropped(int(message["dropped"]))
            return
        span = message["span"]
        if not message["ended"]:
            self._open[span["span"]] = span
            return
        self._open.pop(span["span"], None)
        self._spans.put(span)

    def cut_off(self, *, kind: str, said: str, outcome: str) -> None:
        """The process is gone: what was under way ended now, with an error of that kind."""
        now = time.time_ns()
        # The inner ones first, as they would have ended.
        for span in reversed(self._open.values()):
            span.update(end=now, status=[_ERROR, said])
            span["attributes"].update({names.ERROR_TYPE: kind})
            if span["kind"] == names.CONSUMER:
                span["attributes"].update({names.OUTCOME: outcome})
            self._spans.put(span)
        self._open.clear()
