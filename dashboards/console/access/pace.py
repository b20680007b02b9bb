"""How often somebody may try to sign in: by address and by name, so that neither one address nor many guess a password."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: Failures within `WINDOW` seconds after which no more is tried: for one name; and for one address, behind which many may sit.
FAILURES: Final = 5
FROM_ADDRESS: Final = 40
WINDOW: Final = 300.0
#: Addresses and names that are remembered.
REMEMBERED: Final = 10_000


#: How keys of addresses begin.
ADDRESS: Final = "from "


def _most(key: str) -> int:
    return FROM_ADDRESS if key.startswith(ADDRESS) else FAILURES


class SignInPace:
    """Counts failures; in the memory of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, *keys: str) -> float:
        """Seconds until one of these may try again; 0 if it may now."""
        now = self._clock()
        with self._lock:
            waits = [self._wait(key, now) for key in keys]
        return max(waits, default=0.0)

    def failed(self, *keys: str) -> None:
        """Note a failure."""
        now = self._clock()
        with self._lock:
            for key in keys:
                failures = self._failures.pop(key, deque(maxlen=_most(key)))
                failures.append(now)
                # Put back at the end: the ones that are quiet the longest are forgotten first.
                self._failures[key] = failures
            while len(self._failures) > REMEMBERED:
                self._failures.pop(next(iter(self._failures)))

    def forgive(self, *keys: str) -> None:
        """Take the last failure back: it was none."""
        with self._lock:
            for key in keys:
                if failures := self._failures.get(key):
                    failures.pop()

    def _wait(self, key: str, now: float) -> float:
        failures = self._failures.get(key)
        if failures is None or len(failures) < _most(key):
            return 0.0
        return max(0.0, failures[0] + WINDOW - now)
