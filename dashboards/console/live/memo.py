"""Answers that several browsers share for a moment: however many look at one page, what it shows is read once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import httpx

from redrive.blocks.core.errors import RedriveError
from redrive.dashboards.console.live.outage import UNAVAILABLE, Unavailable

log = logging.getLogger("redrive.console")

T = TypeVar("T")

#: Seconds that a person waits for fresh answers where there are old ones that will do: for all of a page together.
GRACE: Final = 0.05
#: Answers that are kept at most.
KEPT: Final = 2_000
#: Answers that are read anew at once behind the pages: what is computed for them keeps the pages waiting.
AT_ONCE: Final = 2


@dataclass(frozen=True)
class _Kept:
    """An answer, and when it was read. `holds`: nobody has changed since what it is about."""

    at: float
    answer: Any
    holds: bool = True


class Memo:
    """Keeps each answer for some seconds; two who ask at once wait for one answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, lasting: Collection[Hashable] = ()) -> None:
        """`lasting`: keys of answers that no act of a person changes."""
        self._clock = clock
        self._lasting = frozenset(lasting)
        self._kept: dict[Hashable, _Kept] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._behind = threading.Semaphore(AT_ONCE)
        #: How often something was forgotten: what was read before that is not kept.
        self.forgotten = 0
        #: Why nothing can be read, and since when; None if it can.
        self.unavailable: Unavailable | None = None
        self.unavailable_since: datetime | None = None

    def get(
        self,
        key: Hashable,
        seconds: float,
        read: Callable[[], T],
        *,
        stale: float = 0.0,
        fits: Callable[[T], bool] | None = None,
        grace: float = GRACE,
    ) -> T:
        """At most `seconds` old; or at most `stale`, if a new one takes longer than `grace`: whoever asks next gets that."""
        with self._lock:
            mine = self._locks.setdefault(key, threading.Lock())
        kept = self.kept(key)
        if kept is not None and seconds <= kept[0] < stale and (fits is None or fits(kept[1])):
            if mine.acquire(blocking=False):
                threading.Thread(target=self._read_behind, args=(key, mine, read), daemon=True).start()
            if mine.acquire(timeout=grace):
                mine.release()
            old: T = (self.kept(key) or kept)[1]
            return old
        with mine:
            kept = self.kept(key)
            if kept is not None and kept[0] < seconds and (fits is None or fits(kept[1])):
                found: T = kept[1]
                return found
            return self.read(key, read)

    def read_at(self, key: Hashable) -> datetime:
        """When the answer for `key` was read; now, if there is none."""
        last = self.last(key)
        return datetime.fromtimestamp(time.time() - (last[0] if last else 0.0), UTC)

    def kept(self, key: Hashable) -> tuple[float, Any] | None:
        """The answer there is, behind its age in seconds."""
        return self._found(key, forgotten=False)

    def last(self, key: Hashable) -> tuple[float, Any] | None:
        """The same, also if somebody changed since what it is about."""
        return self._found(key, forgotten=True)

    def read(self, key: Hashable, read: Callable[[], T]) -> T:
        """Read the answer, and keep it unless somebody changed what it is about meanwhile."""
        forgotten, began = self.forgotten, self._clock()
        try:
            answer = read()
        except UNAVAILABLE as error:
            self.failed(error)
            raise
        self.unavailable = self.unavailable_since = None
        self.keep(key, answer, since=began, unless_after=forgotten)
        return answer

    def failed(self, error: Unavailable) -> None:
        """Nothing can be read now."""
        self.unavailable = error
        self.unavailable_since = self.unavailable_since or datetime.now(UTC)

    def keep(
        self, key: Hashable, answer: object, *, since: float | None = None, unless_after: int | None = None
    ) -> None:
        """Keep an answer that was read at `since`, or just now."""
        with self._lock:
            if unless_after is not None and unless_after != self.forgotten:
                return
            self._kept.pop(key, None)
            self._kept[key] = _Kept(self._clock() if since is None else since, answer)
            while len(self._kept) > KEPT:
                oldest = next(iter(self._kept))
                self._kept.pop(oldest)
                self._locks.pop(oldest, None)

    def forget(self, *keys: Hashable) -> None:
        """Read these anew when they are next asked for: somebody changed them. None given: all but the lasting ones."""
        with self._lock:
            self.forgotten += 1
            for key in keys or tuple(self._kept.keys() - self._lasting):
                if key in self._kept:
                    self._kept[key] = replace(self._kept[key], holds=False)

    def _found(self, key: Hashable, *, forgotten: bool) -> tuple[float, Any] | None:
        with self._lock:
            found = self._kept.get(key)
        if found is None or not (found.holds or forgotten):
            return None
        return self._clock() - found.at, found.answer

    def _read_behind(self, key: Hashable, mine: threading.Lock, read: Callable[[], Any]) -> None:
        """Read anew while the old answer is given; what cannot be read now is read by whoever asks when the old one is too old."""
        try:
            with self._behind:
                self.read(key, read)
        except (RedriveError, httpx.HTTPError) as error:
            log.info("%r could not be read anew: %s", key, error)
        finally:
            mine.release()
