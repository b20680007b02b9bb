"""The logs that somebody follows: read for all browsers and all jobs together, and sent to each as they come.

Danger: a browser that connects again is sent what it has already; it skips the lines it knows.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Final
from uuid import UUID

from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.dashboards.console.live.refresher import Refresher
from redrive.deployments.jobs.logs import LOOKBACK, JobLog, JobLogs, LogLine

#: Lines that are kept of each log, the newest.
LINES: Final = 500
#: Logs that are kept at most, the latest that somebody asked for.
KEPT: Final = 200
#: Seconds between two looks of a stream at what was read.
PACE: Final = 1.0
#: Seconds that a log is read on after a stream last asked for it.
FOLLOWED: Final = 10.0
#: Seconds after which something is sent though nothing came: a browser that is gone is noticed.
HEARTBEAT: Final = 10.0


class Log:
    """The newest lines of one job; each has a number that goes up."""

    def __init__(self, job_id: UUID) -> None:
        self._read = JobLog(job_id)
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._at = -1e9
        self._lines: deque[LogLine] = deque(maxlen=LINES)
        self._known: dict[UUID, datetime] = {}
        self._count = 0
        #: When it was first read as a whole, by the server's clock; None before.
        self.since: datetime | None = None

    def refresh(self, seconds: float) -> None:
        """Read what came, unless that was done in the last so many seconds.

        Raises:
            ApiUnavailable.
        """
        with self._reading:
            if time.monotonic() - self._at < seconds:
                return
            began = SERVER_CLOCK.now()
            with reachable():
                self.add(self._read.read())
            self.since = self.since or began
            self._at = time.monotonic()

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take in lines, each once."""
        for line in lines:
            with self._lock:
                if line.id in self._known:
                    continue
                self._known[line.id] = line.at
                self._lines.append(line)
                self._count += 1
        with self._lock:
            if len(self._known) > 2 * LINES:
                # Older ones are read no more.
                newest = max(self._known.values())
                self._known = {one: at for one, at in self._known.items() if at >= newest - 2 * LOOKBACK}

    def after(self, number: int) -> tuple[list[LogLine], int]:
        """The lines after that number, as far as they are kept, and the number of the last."""
        with self._lock:
            missing = min(self._count - number, len(self._lines))
            return (list(self._lines)[-missing:] if missing > 0 else []), self._count


class Logs:
    """All logs of the process that are followed."""

    def __init__(self, refresher: Refresher, pace: float = PACE) -> None:
        self._refresher = refresher
        self._pace = pace
        self._kept: dict[UUID, Log] = {}
        self._followed: dict[UUID, float] = {}
        self._together = JobLogs()
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

    def known(self, job_id: UUID) -> list[LogLine]:
        """The lines that were read before; asks nobody."""
        return self.of(job_id).after(0)[0]

    def soon(self, job_id: UUID, reading: Future[list[LogLine]], seconds: float) -> list[LogLine]:
        """What a reading in progress gives; the lines there are if it takes longer, as the page follows them anyhow.

        Raises:
            ApiUnavailable.
        """
        try:
            return reading.result(seconds if self.of(job_id).since is not None else None)
        except TimeoutError:
            return self.of(job_id).after(0)[0]

    def close(self) -> None:
        """Let every stream end, so that the process can."""
        self._closing = True

    async def events(self, job_id: UUID, render: Callable[[Sequence[LogLine]], str]) -> AsyncIterator[bytes]:
        """The lines as server-sent events, from the oldest that is kept on."""
        seen, sent = 0, 0.0
        while not self._closing:
            log = self._follow(job_id)
            lines, seen = log.after(seen)
            if lines:
                yield _event(render(lines))
                sent = time.monotonic()
            elif time.monotonic() - sent > HEARTBEAT:
                yield b": still here\n\n"
                sent = time.monotonic()
            await asyncio.sleep(self._pace)

    def _follow(self, job_id: UUID) -> Log:
        log = self.of(job_id)
        self._followed[job_id] = time.monotonic()
        if log.since is None:
            self._refresher.want(("log", job_id), lambda: log.refresh(0.0))
        else:
            self._refresher.want("logs", self._read_all, serves_many=True)
        return log

    def _read_all(self) -> None:
        """Everything that is followed, in one go."""
        now = time.monotonic()
        self._followed = {one: at for one, at in self._followed.copy().items() if now - at < FOLLOWED}
        logs = {one: self.of(one) for one in self._followed}
        with reachable():
            lines = self._together.read({one: log.since for one, log in logs.items() if log.since is not None})
        for line in lines:
            if line.job_id in logs:
                logs[line.job_id].add([line])


def _event(html: str) -> bytes:
    return b"event: lines\n" + b"".join(f"data: {line}\n".encode() for line in html.split("\n")) + b"\n"
