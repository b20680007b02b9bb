"""Jobs that are slower than ninety-nine in a hundred of their type keep a profile by themselves: so many an hour, if anybody wants it.

Whoever looks into a slow job by hand comes too late for most. The profile begins once the job has run for longer than its type's p99,
so it shows what a slow job does beyond what others do.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import redis

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.settings import Settings
from redrive.blocks.process.job_figures import RUN, Histograms
from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.figures import Figures
from redrive.infra.worker.log import Log
from redrive.infra.worker.own_processes import OWN
from redrive.infra.worker.run_api import RunApi
from redrive.infra.worker.worker_attempt import WorkerAttempt

#: Seconds between two looks at the jobs, and between two at what their types take.
POLL, RENEW = 1.0, 30.0
#: Attempts that are looked at for a p99, and how many there must be: of fewer it says nothing.
WINDOW, ENOUGH = timedelta(hours=24), 100
#: Seconds a job must have run at least, whatever its type's p99 is, and how long a profile takes.
LEAST, SECONDS = 1.0, 10.0
HOUR = 3600.0


class ProfileBudget:
    """So many in any hour. `clock` gives seconds, and never goes back."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._spent: deque[float] = deque(maxlen=max(1, most))

    def is_left(self) -> bool:
        """Whether another one may be made now."""
        return len(self._spent) < self._most or (self._most > 0 and self._clock() - self._spent[0] > HOUR)

    def spend(self) -> None:
        """One is made now."""
        self._spent.append(self._clock())


def limits(found: Histograms) -> dict[str, float]:
    """From how many seconds on a job is slow, by job type; none of a type that too few attempts are known of."""
    return {
        series.job: max(LEAST, histogram.at(0.99) or 0.0)
        for series, histogram in found.items()
        if series.metric == RUN and histogram.count >= ENOUGH
    }


class SlowJobs:
    """Profiles the slow ones among a worker's attempts, one at a time, `REDRIVE_PROFILE_SLOW` an hour at most."""

    def __init__(self, attempts: Attempts, figures: Figures, api: RunApi, settings: Settings, log: Log) -> None:
        self._attempts, self._figures, self._api, self._settings, self._log = attempts, figures, api, settings, log
        self._budget = ProfileBudget(settings.profile_slow)
        self._limits: dict[str, float] = {}
        self._renewed = float("-inf")

    async def run(self) -> None:
        """Runs until cancelled; not at all unless somebody wants it."""
        if not self._settings.profile_slow or self._figures.shared is None:
            return
        while True:
            await asyncio.sleep(POLL)
            if not self._budget.is_left() or not len(self._attempts):
                continue
            await self._renew()
            for attempt in self._attempts:
                limit = self._limits.get(attempt.flow_name)
                if limit is not None and attempt.seconds > limit and not attempt.profiled and attempt.child.pid:
                    await self._profile(attempt, limit)
                    break

    async def _renew(self) -> None:
        if time.monotonic() - self._renewed < RENEW or self._figures.shared is None:
            return
        self._renewed = time.monotonic()
        try:
            found = await asyncio.to_thread(self._figures.shared.since, WINDOW)
        except redis.RedisError as error:
            self._log.debug("Redis is unavailable, so what slow jobs are is not known anew: %s", error)
            return
        self._limits = limits(found)

    async def _profile(self, attempt: WorkerAttempt, limit: float) -> None:
        from redrive.infra.profiles.report import BY_ITSELF, artifact  # noqa: PLC0415  (only where somebody wants it)

        attempt.profiled = True
        self._budget.spend()
        try:
            file, rows = await asyncio.to_thread(self._watch, attempt)
            message = f"Processor time of a slow job: it ran for longer than {limit:.3g} s, the p99 of its type"
            await self._api.publish(artifact(attempt.run_id, BY_ITSELF, message, rows, file))
            attempt.has_profile = True
        except (RedriveError, OSError, httpx.HTTPError) as error:
            self._log.warning("slow job %s keeps no profile: %s", attempt.run_id, error)
        except Exception:  # noqa: BLE001  (whatever a profiler meets, the worker is there for jobs)
            self._log.exception("slow job %s keeps no profile", attempt.run_id)

    def _watch(self, attempt: WorkerAttempt) -> tuple[Path, list[tuple[str, str, str]]]:
        """Raises `RedriveError`: it cannot be looked at, or used no processor time."""
        from redrive.infra.profiles import processor, report, running  # noqa: PLC0415  (as above)

        folder = running.folder(self._settings)
        file = report.file_of(attempt.run_id, folder, report.BY_ITSELF)
        found = processor.profile(attempt.child.pid, SECONDS, file, over=lambda: attempt.is_over, start=OWN.started)
        report.forget_oldest(folder)
        return file, found.rows
