"""What waits to be sent: a bounded queue and the one thread that sends it.

The SDK's own batch processor does not count what it drops, ignores the time that a flush may take, and knows no bytes.

Danger: `put` is called by jobs; it never waits, and never raises.
"""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

#: Bytes of one request: New Relic takes 1 MB.
REQUEST_BYTES = 900_000
#: Seconds between two complaints that something was dropped.
COMPLAIN_EVERY = 60.0

log = logging.getLogger("redrive.tracing")


@dataclass
class Counts:
    """What became of what was put in: `sent`; `dropped`, for want of room; `refused`, by a receiver that is unavailable or says no."""

    sent: int = 0
    dropped: int = 0
    refused: int = 0

    @property
    def lost(self) -> int:
        return self.dropped + self.refused


def _number(name: str, default: int) -> int:
    try:
        return max(1, int(os.environ.get(name, "") or default))
    except ValueError:
        return default


class Outbox(Generic[T]):
    """Sends what is put into it, in batches, from a thread that begins with the first.

    Args:
        send: a batch; whether it was taken. May take as long as it likes.
        what: for messages.
    """

    def __init__(self, send: Callable[[Sequence[T]], bool], *, what: str) -> None:
        self._send = send
        self._what = what
        # By the names that the specification gives these limits.
        self.room = _number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)
        self._batch = min(self.room, _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512))
        self._every = _number("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._waiting: collections.deque[tuple[T, int]] = collections.deque()
        self._changed = threading.Condition()
        self._sending = 0
        self._flushing = 0
        self._thread: threading.Thread | None = None
        self._complained = -COMPLAIN_EVERY
        self.counts = Counts()

    def put(self, item: T, size: int) -> None:
        """Queue it, or drop it if there is no room."""
        if self._pid != os.getpid():
            # A fork has the queue, but not the thread; what was queued is the parent's to send.
            self._reset()
        with self._changed:
            if len(self._waiting) >= self.room:
                self.counts.dropped += 1
            else:
                self._waiting.append((item, size))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="redrive-otlp", daemon=True)
                    self._thread.start()
                if len(self._waiting) >= self._batch:
                    self._changed.notify_all()
        self._complain()

    def flush(self, seconds: float) -> bool:
        """Send what is queued now; False if that was not done within so many seconds."""
        if self._pid != os.getpid():
            return True
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._waiting and not self._sending, seconds)
            self._flushing -= 1
            return done

    def snapshot(self) -> dict[str, int]:
        """The counts, and how many wait."""
        return {**asdict(self.counts), "waiting": len(self._waiting) + self._sending}

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._flushing or len(self._waiting) >= self._batch, self._every)
                batch = self._next()
            if not batch:
                continue
            try:
                taken = self._send(batch)
            except Exception:  # whatever an exporter raises, the next batch is tried
                log.debug("%s could not be sent", self._what, exc_info=True)
                taken = False
            with self._changed:
                if taken:
                    self.counts.sent += len(batch)
                else:
                    self.counts.refused += len(batch)
                self._sending = 0
                self._changed.notify_all()
            self._complain()

    def _next(self) -> list[T]:
        batch: list[T] = []
        used = 0
        while self._waiting and len(batch) < self._batch:
            item, size = self._waiting[0]
            if batch and used + size > REQUEST_BYTES:
                break
            self._waiting.popleft()
            batch.append(item)
            used += size
        self._sending = len(batch)
        return batch

    def _complain(self) -> None:
        if self.counts.lost and time.monotonic() - self._complained > COMPLAIN_EVERY:
            self._complained = time.monotonic()
            log.warning(
                "%d %s were dropped for want of room, and %d were not taken by the receiver; jobs go on",
                self.counts.dropped,
                self._what,
                self.counts.refused,
            )
