"""The spans of one attempt: `process QUEUE` for each try of the job's body, `settle QUEUE` for what became of it, one for each step.

A try is a trace of its own. It links to the span in which the job was asked for, and to the try before it, wherever that ran.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from redrive.blocks.core.settings import settings
from redrive.blocks.core.trace_context import TraceContext
from redrive.blocks.prefect.labels import TRACE, TRACE_CREATED, first_parent
from redrive.blocks.tracing import job_process, names
from redrive.blocks.tracing.links import follows
from redrive.blocks.tracing.messaging import messaging
from redrive.blocks.tracing.open_span import NOTHING, OpenSpan
from redrive.blocks.tracing.operations import measured
from redrive.blocks.tracing.spans import span, started
from redrive.blocks.tracing.switch import is_on
from redrive.flows.engine.attempt import Attempt


class Traced:
    """The spans of an attempt's tries, one after another. All of it does nothing while tracing is off."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._again = 0
        self._open: OpenSpan = NOTHING
        self._ends = ExitStack()
        labels = attempt.origin.labels or {}
        self._created = follows(labels.get(TRACE_CREATED), "created")
        self._previous = follows(labels.get(TRACE), "previous")
        self._parent = first_parent(labels)

    def begin(self) -> None:
        """A try begins: what runs from here on is of its span."""
        if not is_on():
            return
        attempt = self._attempt
        job_process.begin(attempt.parameters, allowed=frozenset(settings().trace_parameters))
        attributes = {
            **messaging(names.PROCESS, attempt.origin.queue, message_id=str(attempt.id), client_id=_worker()),
            names.JOB: attempt.job.name,
            names.WORKER: _worker(),
            names.TRY: attempt.number,
            names.CRASHES: attempt.crashes,
            names.WAIT: None if self._again else _waited(attempt),
        }
        self._open = started(
            f"process {attempt.origin.queue}",
            names.CONSUMER,
            attributes,
            links=(*self._created, *self._previous),
            root=True,
            parent=self._parent,
            identity=TraceContext.of_attempt(attempt.claim, self._again),
        )
        self._ends.enter_context(self._open.within())
        self._again, self._parent = self._again + 1, None
        if context := self._open.context:
            self._previous = follows(str(context), "previous")
            attempt.trace = {TRACE: str(context)}
            job_process.mark_log(context)

    @contextmanager
    def settling(self, outcome: str) -> Iterator[OpenSpan]:
        """Around reporting what became of the try; `retry` and what follows it are known only inside."""
        attempt = self._attempt
        attributes = {
            **messaging(names.SETTLE, attempt.origin.queue, message_id=str(attempt.id), client_id=_worker()),
            names.JOB: attempt.job.name,
            names.OUTCOME: outcome,
        }
        queue = attempt.origin.queue
        with measured(names.SETTLE, queue), span(f"settle {queue}", names.CLIENT, attributes) as opened:
            yield opened

    def failed(self, error: BaseException, *, fingerprint: str) -> None:
        """What the try raised."""
        self._open.failed(error)
        self._open.set({names.FINGERPRINT: fingerprint})

    def outcome(self, outcome: str) -> None:
        """What became of the try."""
        self._open.set({names.OUTCOME: outcome})

    def end(self) -> None:
        """The try is over."""
        self._ends.close()
        self._open.end()
        self._open = NOTHING


@contextmanager
def step_span(name: str, tries: int) -> Iterator[OpenSpan]:
    """Around one execution of a step.

    Args:
        name: of the step.
        tries: which it is, those of earlier attempts counted.
    """
    with span(f"step {name}", names.INTERNAL, {names.STEP: name, names.TRY: tries}) as opened:
        yield opened


def _worker() -> str | None:
    return os.environ.get("PREFECT__WORKER_NAME")


def _waited(attempt: Attempt) -> float | None:
    """Seconds from due to started, by the server's clock."""
    due = attempt.origin.due
    return None if due is None else max(0.0, (attempt.began - due).total_seconds())
