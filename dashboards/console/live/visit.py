"""Where a page gets its answers from: one that a person opens, and one that stays open.

A person who opens a page gets an answer that is fresh; while the server that has it is unavailable, the one that was read last, and
the page says so. A page that stays open gets the answer there is, with its time, and the refresher reads a new one in its turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from redrive.dashboards.console.live.memo import GRACE, Memo
from redrive.dashboards.console.live.outage import UNAVAILABLE, Outage, Outages, Unavailable
from redrive.dashboards.console.live.refresher import Refresher

T = TypeVar("T")
#: Reads the answers for several keys in one go; what is not there is not among them.
Many = Callable[[Sequence[Hashable]], Mapping[Hashable, object]]


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
    """The answers for a person who opens a page, from the moment they came.

    Args:
        outages: takes note of each answer that is shown though it could not be read anew; None: an error is raised instead.
    """

    def __init__(
        self, memo: Memo, clock: Callable[[], float] = time.monotonic, *, outages: Outages | None = None
    ) -> None:
        self._memo = memo
        self._clock = clock
        self._until = clock() + GRACE
        self._outages = outages
        self._unavailable: Unavailable | None = None

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
        """At most `seconds` old; or at most `stale`, if a new one is not there before they have waited long enough.

        Raises:
            ApiUnavailable, LedgerUnavailable, RedisUnavailable: there never was one.
        """
        del many  # a person waits: it is read by itself
        if self._unavailable is None:
            try:
                answer = self._memo.get(key, seconds, read, stale=stale, fits=fits, grace=self.left)
            except UNAVAILABLE as error:
                self._unavailable = error
            else:
                self._note_if_old(key, seconds)
                return answer
        known: T = self._last(key, self._unavailable)
        return known

    def read_at(self, key: Hashable) -> datetime:
        """When the answer for `key` was read; now, if there is none."""
        return self._memo.read_at(key)

    def is_unavailable(self, error: Unavailable) -> None:
        """Ask no more in this visit: nothing would answer."""
        self._unavailable = error

    def _last(self, key: Hashable, error: Unavailable) -> Any:
        """What was read last, whatever became of it since; what `get` reads for this key."""
        last = self._memo.last(key)
        if last is None or self._outages is None:
            raise error
        self._note(key, error)
        return last[1]

    def _note_if_old(self, key: Hashable, seconds: float) -> None:
        """An answer that is old because nothing answers is told, too."""
        last, error = self._memo.last(key), self._memo.unavailable
        if error is not None and last is not None and last[0] >= seconds:
            self._note(key, error)

    def _note(self, key: Hashable, error: Unavailable) -> None:
        if self._outages is not None:
            self._outages.note(Outage.of(error, since=self._memo.unavailable_since, known=self._memo.read_at(key)))


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
