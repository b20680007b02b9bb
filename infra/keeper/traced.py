"""`settle QUEUE`: the span of a rescue, in the trace of the try whose process died."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redrive.blocks.prefect.run import Run
from redrive.blocks.tracing import names
from redrive.blocks.tracing.messaging import messaging
from redrive.blocks.tracing.operations import measured
from redrive.blocks.tracing.spans import started


@contextmanager
def rescuing(run: Run, *, outcome: str) -> Iterator[None]:
    """Around deciding what becomes of a job whose process died. Nothing, while tracing is off."""
    attributes = {
        **messaging(names.SETTLE, run.queue, message_id=str(run.id), client_id=run.labels.worker),
        names.JOB: run.job,
        names.OUTCOME: outcome,
    }
    opened = started(f"settle {run.queue}", names.CLIENT, attributes, parent=run.labels.traced)
    try:
        with measured(names.SETTLE, run.queue):
            yield
    except Exception as error:
        opened.failed(error)
        raise
    finally:
        opened.end()
