"""Answers that several browsers share for a moment: however many look at one page, what it shows is read once.

A person who opens a page gets an answer that is fresh. A page that stays open gets the answer there is, with its time, and the
refresher reads a new one in its turn.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import httpx

from redrive.blocks.core.errors import RedriveError
from redrive.dashboards.console.live.refresher import Refresher

log = logging.getLogger("redrive.console")

T = TypeVar("T")
#: Reads the answers for several keys in one go; what is not there is not among them.
Many = Callable[[Sequence[Hashable]], Mapping[Hashable, object]]

#: Seconds that a person waits for fresh answers where there are old ones that will do: for all of a page together.
GRACE: Final = 0.05
#: Answers that are kept at most.
KEPT: Final = 2_000


class NotYet(Exception):  # noqa: N818  (no fault: the page stays as it is)
    """Nothing is known that a page which stays open could be told: it is read in its turn."""


class Answers(Protocol):
    """Where a page gets its answers from."""

    def get(
        self,
        key: Hashable,
        seconds: float,
        read: Callable[[], T],
        *,
        stale: float = 0.0,
        many: Many | None = None,
        fits: Callable[[T], bool] | None = None,
    ) -> T:
        """The answer for `key`.

        Args:
            seconds: it may be old.
            stale: it may be old if a fresh one is not there at once.
            many: reads it together with others of its kind, where several are wanted.
            fits: whether a kept answer still holds.
        """

    def read_at(self, key: Hashable) -> datetime:
        """When the answer for `key` was read; now, if there is none."""


class Visit:
    """The answers for a person who opens a page, from the moment they came."""

    def __init__(self, memo: Memo, clock: Callable[[], float] = time.monotonic) -> None:
        self._memo = memo
        self._clock = clock
        self._until = clock() + GRACE

    @property
    def left(self) -> float:
        """Seconds that they still wait for a fresh answer where an old one will do."""
        return max(0.0, self._until - self._clock())

    def get(
        self,
        key: Hashable,
        seconds: float,
        read: Callable[[], T],
        *,
        stale: float = 0.0,
        many: Many | None = None,
        fits: Callable[[T], bool] | None = None,
    ) -> T:
        """At most `seconds` old; or at most `stale`, if a new one is not there before they have waited long enough."""
        del many  # a person waits: it is read by itself
        return self._memo.get(key, seconds, read, stale=stale, fits=fits, grace=self.left)

    def read_at(self, key: Hashable) -> datetime:
        """When the answer for `key` was read; now, if there is none."""
        return self._memo.read_at(key)


class Memo:
    """Keeps each answer for some seconds; two who ask at once wait for one answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, lasting: Collection[Hashable] = ()) -> None:
        """`lasting`: keys of answers that no act of a person changes."""
        self._clock = clock
        self._lasting = frozenset(lasting)
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        #: How often something was forgotten: what was read before that is not kept.
        self.forgotten = 0

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
        kept = self.kept(key)
        return datetime.fromtimestamp(time.time() - (kept[0] if kept else 0.0), UTC)

    def kept(self, key: Hashable) -> tuple[float, Any] | None:
        """The answer there is, behind its age in seconds."""
        with self._lock:
            found = self._kept.get(key)
        return None if found is None else (self._clock() - found[0], found[1])

    def read(self, key: Hashable, read: Callable[[], T]) -> T:
        """Read the answer, and keep it unless somebody changed what it is about meanwhile."""
        forgotten, began = self.forgotten, self._clock()
        answer = read()
        self.keep(key, answer, since=began, unless_after=forgotten)
        return answer

    def keep(
        self, key: Hashable, answer: object, *, since: float | None = None, unless_after: int | None = None
    ) -> None:
        """Keep an answer that was read at `since`, or just now."""
        with self._lock:
            if unless_after is not None and unless_after != self.forgotten:
                return
            self._kept.pop(key, None)
            self._kept[key] = (self._clock() if since is None else since, answer)
            while len(self._kept) > KEPT:
                oldest = next(iter(self._kept))
                self._kept.pop(oldest)
                self._locks.pop(oldest, None)

    def forget(self, *keys: Hashable) -> None:
        """Read these anew when they are next asked for: somebody changed them. None given: all but the lasting ones."""
        with self._lock:
            self.forgotten += 1
            for key in keys or tuple(self._kept.keys() - self._lasting):
                self._kept.pop(key, None)

    def _read_behind(self, key: Hashable, mine: threading.Lock, read: Callable[[], Any]) -> None:
        """Read anew while the old answer is given; what cannot be read now is read by whoever asks when the old one is too old."""
        try:
            self.read(key, read)
        except (RedriveError, httpx.HTTPError) as error:
            log.info("%r could not be read anew: %s", key, error)
        finally:
            mine.release()


class LiveAnswers:
    """The answers for pages that stay open: what is there, and a turn of the refresher if that is old."""

    def __init__(self, memo: Memo, refresher: Refresher) -> None:
        self._memo = memo
        self._refresher = refresher
        self._together: dict[Many, dict[Hashable, None]] = {}
        self._lock = threading.Lock()

    def get(
        self,
        key: Hashable,
        seconds: float,
        read: Callable[[], T],
        *,
        stale: float = 0.0,
        many: Many | None = None,
        fits: Callable[[T], bool] | None = None,
    ) -> T:
        """The answer there is, however old.

        Raises:
            NotYet: there is none.
        """
        del stale
        kept = self._memo.kept(key)
        if kept is None or kept[0] >= seconds or (fits is not None and not fits(kept[1])):
            self._want(key, read, many)
        if kept is None:
            raise NotYet
        found: T = kept[1]
        return found

    def read_at(self, key: Hashable) -> datetime:
        """When the answer for `key` was read."""
        return self._memo.read_at(key)

    def _want(self, key: Hashable, read: Callable[[], object], many: Many | None) -> None:
        if many is None:
            self._refresher.want(key, lambda: self._memo.read(key, read))
            return
        with self._lock:
            self._together.setdefault(many, {})[key] = None
        self._refresher.want(many, lambda: self._read(many), serves_many=True)

    def _read(self, many: Many) -> None:
        with self._lock:
            keys = list(self._together.pop(many, ()))
        forgotten = self._memo.forgotten
        found = many(keys)
        for key in keys:
            if key in found:
                self._memo.keep(key, found[key], unless_after=forgotten)
            else:
                self._memo.forget(key)
