"""The logs that somebody follows: each read once for all browsers, and sent to each as it comes.

Danger: a browser that connects again is sent what it has already; it skips the lines it knows.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final
from uuid import UUID

import httpx
from starlette.concurrency import run_in_threadpool

from redrive.blocks.core.errors import ApiUnavailable, NotFound
from redrive.blocks.prefect.client import reachable
from redrive.deployments.jobs.logs import JobLog, LogLine

messages = logging.getLogger("redrive.console")

#: Lines that are kept of each log, the newest.
LINES: Final = 500
#: Logs that are kept at most, the latest that somebody asked for.
KEPT: Final = 100
#: Seconds between two readings: clients of Prefect send what a job logs every 2 s.
PACE: Final = 2.5
#: Seconds after which something is sent though nothing came: a browser that is gone is noticed.
HEARTBEAT: Final = 10.0


class Log:
    """The newest lines of one job; each has a number that goes up."""

    def __init__(self, job_id: UUID) -> None:
        self._read = JobLog(job_id)
        self._lock = threading.Lock()
        self._at = -1e9
        self._lines: deque[LogLine] = deque(maxlen=LINES)
        self._count = 0

    def refresh(self, seconds: float) -> None:
        """Read what came, unless that was done in the last so many seconds.

        Raises:
            ApiUnavailable.
        """
        with self._lock:
            if time.monotonic() - self._at < seconds:
                return
            with reachable():
                for line in self._read.read():
                    self._lines.append(line)
                    self._count += 1
            self._at = time.monotonic()

    def after(self, number: int) -> tuple[list[LogLine], int]:
        """The lines after that number, as far as they are kept, and the number of the last."""
        with self._lock:
            missing = min(self._count - number, len(self._lines))
            return (list(self._lines)[-missing:] if missing > 0 else []), self._count


class Logs:
    """All logs of the process that are followed."""

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._kept: dict[UUID, Log] = {}
        self._closing = False

    def of(self, job_id: UUID) -> Log:
        """The log of a job, to be read with others."""
        log = self._kept.pop(job_id, None) or Log(job_id)
        self._kept[job_id] = log
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        return log

    def lines(self, job_id: UUID, seconds: float) -> list[LogLine]:
        """The newest lines, at most so many seconds old.

        Raises:
            ApiUnavailable.
        """
        log = self.of(job_id)
        log.refresh(seconds)
        return log.after(0)[0]

    def close(self) -> None:
        """Let every stream end, so that the process can."""
        self._closing = True

    async def events(
        self, job_id: UUID, render: Callable[[Sequence[LogLine]], str], seconds: Callable[[], float]
    ) -> AsyncIterator[bytes]:
        """The lines as server-sent events, from the oldest that is kept on. `seconds`: how old they may be now."""
        log, seen, sent = self.of(job_id), 0, 0.0
        while not self._closing:
            try:
                await run_in_threadpool(lambda: log.refresh(seconds()))
            except NotFound:
                return
            except (ApiUnavailable, httpx.HTTPError) as error:
                # The page says so; the log goes on when Prefect does.
                messages.info("the log of job %s cannot be read now: %s", job_id, error)
            lines, seen = log.after(seen)
            if lines:
                yield _event(render(lines))
                sent = time.monotonic()
            elif time.monotonic() - sent > HEARTBEAT:
                yield b": still here\n\n"
                sent = time.monotonic()
            await asyncio.sleep(self._pace)


def _event(html: str) -> bytes:
    return b"event: lines\n" + b"".join(f"data: {line}\n".encode() for line in html.split("\n")) + b"\n"
