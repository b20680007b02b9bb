"""Failed tries, as events for Sentry: a child of a warm worker hands them to its worker, elsewhere the job's process tells by itself.

No thread and no connection of a child's own, as with spans.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redrive.blocks.sentry import send


class _Worker:
    """Who reports for this process; None if it does so itself."""

    listener: Callable[[dict[str, Any]], None] | None = None


def listen(listener: Callable[[dict[str, Any]], None]) -> None:
    """Give the failed tries of this process to somebody else."""
    _Worker.listener = listener


def announce(event: dict[str, Any]) -> None:
    """A try failed, and another one follows."""
    if _Worker.listener is not None:
        _Worker.listener(event)
    else:
        send([event])
