"""How long asking for a job and settling it take, as the metric `messaging.client.operation.duration`; off unless metrics are sent by OTLP.

A child of a warm worker hands it to its worker, as it does with spans; elsewhere the process sends by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redrive.blocks.tracing.switch import sends_metrics

log = logging.getLogger("redrive.tracing")

#: Operation, queue, seconds, and the type of the error that ended it.
Listener = Callable[[str, str, float, str | None], None]


class _Worker:
    """Who sends for this process; None if it does so itself."""

    listener: Listener | None = None


def listen(listener: Listener) -> None:
    """Give what is measured in this process to somebody else."""
    _Worker.listener = listener


@contextmanager
def measured(operation: str, queue: str) -> Iterator[None]:
    """Around one operation; nothing while no metrics are sent."""
    if not sends_metrics():
        yield
        return
    began, error_type = time.monotonic(), None
    try:
        yield
    except Exception as error:
        error_type = type(error).__qualname__
        raise
    finally:
        _note(operation, queue, time.monotonic() - began, error_type)


def _note(operation: str, queue: str, seconds: float, error_type: str | None) -> None:
    try:
        if _Worker.listener is not None:
            _Worker.listener(operation, queue, seconds, error_type)
            return
        from redrive.blocks.tracing.sdk import operations  # noqa: PLC0415  (only when metrics are sent)

        operations.of_this_process().record(operation, queue, seconds, error_type)
    except Exception:  # nobody asks for a job, or does one, for its figures
        log.warning("how long %s took cannot be measured; jobs go on", operation, exc_info=True)
