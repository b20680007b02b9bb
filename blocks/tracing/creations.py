"""`create JOB`: the span of asking for a job, whose context goes onto the job's run as a label, so that every try leads back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.labels import TRACE_CREATED, TRACE_FIRST, Labels
from redrive.blocks.tracing import names
from redrive.blocks.tracing.links import Follows
from redrive.blocks.tracing.messaging import messaging
from redrive.blocks.tracing.open_span import OpenSpan
from redrive.blocks.tracing.operations import measured
from redrive.blocks.tracing.spans import started


def followed(labels: Labels, how: str) -> tuple[Follows, ...]:
    """What a new job follows that is asked for because of another one: that one's last try, and the span in which it was asked for."""
    return tuple(Follows(one, kind) for one, kind in ((labels.traced, how), (labels.created, "created")) if one)


class Creations:
    """The jobs of one request. Use it around making them: what fails, fails them all."""

    def __init__(self, job: str, queue: str, *, due_at_once: bool) -> None:
        self._job = job
        self._queue = queue
        self._first = {TRACE_FIRST: "child"} if due_at_once and settings().trace_first_try == "child" else {}
        self._open: list[OpenSpan] = []
        self._measured = measured(names.CREATE, queue)

    def __enter__(self) -> Self:
        self._measured.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._measured.__exit__(kind, error, trace)
        for one in self._open:
            if error is not None:
                one.failed(error)
            one.end()

    def labels(self, links: Sequence[Follows] = ()) -> Mapping[str, str]:
        """What goes onto the run of the next job; nothing while tracing is off."""
        attributes = {**messaging(names.CREATE, self._queue), names.JOB: self._job}
        opened = started(f"create {self._job}", names.PRODUCER, attributes, links=links)
        self._open.append(opened)
        return {TRACE_CREATED: str(opened.context), **self._first} if opened.context else {}

    def made(self, number: int, run_id: object, *, new: bool) -> None:
        """The job that was asked for as the `number`-th is this run; not `new` if its key made it one that was there."""
        self._open[number].set({names.MESSAGE_ID: str(run_id), names.NEW: new})
