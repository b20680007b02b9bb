"""Deadlines of steps, announced to whoever watches the process: the warm worker kills a step that outlives its own.

Prefect's timeout is soft: code that sits in C, or that catches everything, outlives it. A step says when it should be
over; without anybody listening that costs nothing and does nothing.

Danger: one job a process at a time. Steps of one job may run side by side, each with a deadline of its own.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

#: Seconds a step that timed out gets to leave before its process is killed.
GRACE = 10.0

Deadline = dict[str, Any]

_numbers = itertools.count(1)


class _Watching:
    """Who watches the steps of this process."""

    listener: Callable[[Deadline], None] | None = None


def listen(listener: Callable[[Deadline], None] | None) -> None:
    """Set who is told: `{"step", "number", "seconds", "at", "tries", "own"}` when one begins, `{"number", "over": True}` when it ends.

    `at` is `time.monotonic()`; `seconds` the timeout; `tries` which try of the step it is; `own` its policy as JSON, if it has one.
    """
    _Watching.listener = listener


@contextmanager
def announced(step: str, seconds: float | None, *, tries: int, own: dict[str, Any] | None = None) -> Generator[None]:
    """While a step runs: it should be over in `seconds`; this is its `tries`-th try. None means no deadline."""
    listener = _Watching.listener
    if listener is None or not seconds:
        yield
        return
    number = next(_numbers)
    # The monotonic clock of Linux is one for all processes.
    at = time.monotonic()
    listener({"step": step, "number": number, "seconds": seconds, "at": at, "tries": tries, "own": own})
    try:
        yield
    finally:
        listener({"number": number, "over": True})
