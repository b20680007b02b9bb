"""Answers that several browsers share for a moment: however many look at one page, what it shows is read once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import httpx

from redrive.blocks.core.errors import RedriveError

log = logging.getLogger("redrive.console")

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
        #: How often something was forgotten: what was read before that is not kept.
        self._forgotten = 0

    def get(self, key: Hashable, seconds: float, read: Callable[[], T], *, stale: float = 0.0) -> T:
        """The answer for `key`, at most `seconds` old; or at most `stale`, while a new one is read for whoever asks next."""
        with self._lock:
            mine = self._locks.setdefault(key, threading.Lock())
            kept = self._kept.get(key)
        if kept is not None and seconds <= self._clock() - kept[0] < stale:
            if mine.acquire(blocking=False):
                threading.Thread(target=self._read_behind, args=(key, mine, read), daemon=True).start()
            old: T = kept[1]
            return old
        with mine:
            kept = self._kept.get(key)
            if kept is not None and self._clock() - kept[0] < seconds:
                found: T = kept[1]
                return found
            answer = read()
            self._keep(key, answer)
            return answer

    def _read_behind(self, key: Hashable, mine: threading.Lock, read: Callable[[], Any]) -> None:
        """Read anew while the old answer is given; what cannot be read now is read by whoever asks when the old one is too old."""
        forgotten = self._forgotten
        try:
            answer = read()
        except (RedriveError, httpx.HTTPError) as error:
            log.info("%r could not be read anew: %s", key, error)
        else:
            if forgotten == self._forgotten:
                self._keep(key, answer)
        finally:
            mine.release()

    def _keep(self, key: Hashable, answer: object) -> None:
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (self._clock(), answer)
            while len(self._kept) > KEPT:
                oldest = next(iter(self._kept))
                self._kept.pop(oldest)
                self._locks.pop(oldest, None)

    def forget(self, *keys: Hashable) -> None:
        """Read these anew when they are next asked for: somebody changed them. None given: all."""
        with self._lock:
            self._forgotten += 1
            for key in keys or tuple(self._kept):
                self._kept.pop(key, None)
