"""Answers that several browsers share for a moment: however many look at one page, what it shows is read once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Answers that are kept at most.
KEPT: Final = 500


class Memo:
    """Keeps each answer for some seconds; two who ask at once wait for one answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seconds: float, read: Callable[[], T]) -> T:
        """The answer for `key`, at most `seconds` old."""
        with self._lock:
            mine = self._locks.setdefault(key, threading.Lock())
        with mine:
            kept = self._kept.get(key)
            if kept is not None and self._clock() - kept[0] < seconds:
                found: T = kept[1]
                return found
            answer = read()
            with self._lock:
                self._kept[key] = (self._clock(), answer)
                while len(self._kept) > KEPT:
                    oldest = next(iter(self._kept))
                    self._kept.pop(oldest)
                    self._locks.pop(oldest, None)
            return answer

    def forget(self, *keys: Hashable) -> None:
        """Read these anew when they are next asked for: somebody changed them. None given: all."""
        with self._lock:
            for key in keys or tuple(self._kept):
                self._kept.pop(key, None)
