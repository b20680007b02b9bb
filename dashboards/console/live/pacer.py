"""Who may send the next request to Prefect's API, and when: one at a time, with more than a second between any two."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Final

#: Seconds between two requests: whatever the stretch, fewer than one a second.
APART: Final = 1.1
#: Seconds until somebody who waits for another one looks again: what is less urgent may have become more so.
AGAIN: Final = 0.05


class Pacer:
    """Gives turns. The lowest level goes first, and of one level who came first."""

    def __init__(self, apart: float = APART, clock: Callable[[], float] = time.monotonic) -> None:
        self._apart = apart
        self._clock = clock
        self._next = float("-inf")
        self._numbers = itertools.count()
        self._waiting: dict[int, Callable[[], int]] = {}
        self._change = threading.Condition()

    def take(self, level: Callable[[], int]) -> None:
        """Wait for a turn. `level`: how urgent it is by now, 0 the most."""
        with self._change:
            me = next(self._numbers)
            self._waiting[me] = level
            try:
                while (left := self._left(me)) > 0:
                    self._change.wait(left)
                self._next = self._clock() + self._apart
            finally:
                del self._waiting[me]
                self._change.notify_all()

    def _left(self, me: int) -> float:
        if (left := self._next - self._clock()) > 0:
            return left
        first = min(self._waiting, key=lambda one: (self._waiting[one](), one))
        return 0.0 if first == me else AGAIN
