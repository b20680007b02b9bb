"""What this worker counts of its jobs: how long attempts and steps took, and their memory. Told to Redis in regular intervals."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from operator import itemgetter

import redis

from redrive.blocks.process.job_figures import Counting, Histograms, JobFigures
from redrive.blocks.process.slowest import SlowAttempt, SlowByType, Slowest, include
from redrive.infra.worker.reporting import known_redis
from redrive.infra.worker.worker_attempt import WorkerAttempt

#: Seconds between two times that Redis is told.
EVERY = 5.0

log = logging.getLogger("prefect.workers")


class Figures:
    """Counts here, and adds to what all workers counted; where Redis is known: in a stack, or by `REDRIVE_REDIS_URL`."""

    def __init__(self) -> None:
        url = known_redis()
        self.shared = JobFigures(url) if url else None
        self._slow = Slowest(url) if url else None
        self._counting = Counting()
        self._slowest: SlowByType = {}

    def count(self, attempt: WorkerAttempt) -> None:
        """An attempt is over, in whichever way."""
        if self.shared is None or not attempt.taken:
            return
        done = attempt.done or {}
        # A container may hold another version, whose child says less.
        memory = max(int(done.get("peak") or 0), attempt.most_memory)
        steps = done.get("steps") or {}
        self._counting.attempt(attempt.flow_name, seconds=attempt.seconds, memory=memory, steps=steps)
        step, in_step = max(((name, total) for name, (_, total) in steps.items()), key=itemgetter(1), default=("", 0.0))
        ended = SlowAttempt(
            run_id=attempt.run_id,
            job=attempt.flow_name,
            queue=attempt.due.queue,
            seconds=attempt.seconds,
            at=time.time(),
            step=step,
            in_step=in_step,
            memory=memory,
            profile=attempt.has_profile,
        )
        include(self._slowest, ended)

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Tell what was counted since."""
        if self.shared is None or not (counted := self._counting.take()):
            return
        slowest, self._slowest = self._slowest, {}
        try:
            await asyncio.to_thread(self._add, counted, slowest)
        except redis.RedisError as error:
            # Added up until it is there again: a few numbers for each job type and step.
            self._counting.put_back(counted)
            for attempts in slowest.values():
                include(self._slowest, *attempts)
            log.debug("Redis is unavailable, so what jobs took is told later: %s", error)

    def _add(self, counted: Histograms, slowest: SlowByType) -> None:
        now = datetime.now(UTC)
        if self.shared is not None and self._slow is not None:
            # Told twice they are the same ones; counts would be added twice.
            self._slow.add(slowest, now)
            self.shared.add(counted, now)
