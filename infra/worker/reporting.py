"""Telling Redis what this worker does, for `redrive status` and the exporter; without Redis nobody is told, and nothing else changes."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Protocol

import redis

from redrive.blocks.core.settings import Settings
from redrive.blocks.process.worker_report import LIFETIME, WorkerReport, WorkerReports

#: Seconds between two polls whether there is something new to say, and between two reports that say nothing new.
POLL, RENEW = 1.0, LIFETIME / 3

log = logging.getLogger("prefect.workers")


class Reported(Protocol):
    """What a worker says of itself."""

    def report(self) -> WorkerReport: ...


class Reporting:
    """Publishes a worker's report, where Redis is known: in a stack, or by `REDRIVE_REDIS_URL`."""

    def __init__(self, worker: Reported) -> None:
        self._worker = worker
        url = known_redis()
        self._reports = WorkerReports(url) if url else None

    async def run(self) -> None:
        """Runs until cancelled."""
        detail: tuple[object, ...] = ()
        at = 0.0
        clock = asyncio.get_running_loop().time
        while self._reports:
            report = self._worker.report()
            news = (report.busy, report.draining)
            if news != detail or clock() - at > RENEW:
                try:
                    await asyncio.to_thread(self._reports.publish, report)
                    detail, at = news, clock()
                except redis.RedisError as error:
                    log.debug("Redis is unavailable, so nobody is told what this worker does: %s", error)
            await asyncio.sleep(POLL)

    async def withdraw(self) -> None:
        """The worker ends."""
        if self._reports:
            try:
                await asyncio.to_thread(self._reports.withdraw, self._worker.report().name)
            except redis.RedisError:
                # The report ends by itself.
                return


def known_redis() -> str | None:
    """Where Redis is, in a stack or by `REDRIVE_REDIS_URL`; None for a worker that was told of none."""
    known = os.environ.get("REDRIVE_HOME") or os.environ.get("REDRIVE_REDIS_URL")
    return Settings.load().valkey_url() if known else None
