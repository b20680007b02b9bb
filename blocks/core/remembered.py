"""Values that hold for some seconds after they were read, so that nobody asks for them again with every job or request."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

#: Values that one keeps at most: keys come from outside, and must not fill the memory.
MOST = 1_000


class Remembered(Generic[K, V]):
    """Values by key; several threads may use one.

    Args:
        seconds: how long a value is fresh.
        most: values it keeps; beyond, the one that was kept first is forgotten.
    """

    def __init__(self, seconds: float, *, most: int = MOST) -> None:
        self._seconds, self._most = seconds, most
        self._kept: dict[K, tuple[float, V]] = {}
        self._lock = threading.Lock()

    def fresh(self, key: K, otherwise: D) -> V | D:
        """The value if it is fresh."""
        found = self._kept.get(key)
        return found[1] if found is not None and time.monotonic() - found[0] < self._seconds else otherwise

    def whatever_age(self, key: K, otherwise: D) -> V | D:
        """The value, however old: where it cannot be read anew."""
        found = self._kept.get(key)
        return otherwise if found is None else found[1]

    def keep(self, key: K, value: V) -> V:
        """Remember what was read just now."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (time.monotonic(), value)
            while len(self._kept) > self._most:
                self._kept.pop(next(iter(self._kept)))
        return value

    def forget(self, key: K) -> None:
        """It does not hold any more."""
        with self._lock:
            self._kept.pop(key, None)

    def clear(self) -> None:
        """Nothing holds any more."""
        with self._lock:
            self._kept.clear()
