"""The slowest attempts of each job type, hour by hour, in Redis (Valkey): Prefect's API does not sort runs by how long they took.

Danger: a display, as `job_figures` is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge, nlargest
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Final

import redis

from redrive.blocks.process.job_figures import KEPT, hour_of
from redrive.blocks.process.worker_report import PATIENCE

HOUR: Final = "redrive:slowest:{hour}:{job}"
#: The job types that have any.
TYPES: Final = "redrive:slowest:types"
#: Attempts that are kept of each job type and hour: of one list for all, a type that is quick would have none.
MOST: Final = 25


@dataclass(frozen=True, kw_only=True)
class SlowAttempt:
    """An attempt that ended `at` (seconds since 1970) and took so many `seconds`, `in_step` of them in its longest `step`.

    `profile` says whether one was kept while it ran.
    """

    run_id: str
    job: str
    queue: str
    seconds: float
    at: float
    step: str = ""
    in_step: float = 0.0
    memory: int = 0
    profile: bool = False


SlowByType = dict[str, list[SlowAttempt]]


def include(kept: SlowByType, *attempts: SlowAttempt) -> None:
    """Keep them with the others, as far as they are among the slowest of their type."""
    for one in attempts:
        kept[one.job] = nlargest(MOST, [*kept.get(one.job, ()), one], key=attrgetter("seconds"))


class Slowest:
    """Those of all workers, in one Redis. Each raises `redis.RedisError` when that is unavailable."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)

    def add(self, attempts: SlowByType, now: datetime) -> None:
        """Add what may be among the slowest of this hour."""
        if not attempts:
            return
        with self._redis.pipeline(transaction=True) as pipeline:
            for job, slowest in attempts.items():
                key = HOUR.format(hour=hour_of(now), job=job)
                pipeline.zadd(key, {json.dumps(asdict(one)): one.seconds for one in slowest})
                pipeline.zremrangebyrank(key, 0, -MOST - 1)
                pipeline.expire(key, KEPT)
            pipeline.sadd(TYPES, *attempts)
            pipeline.expire(TYPES, KEPT)
            pipeline.execute()

    def since(
        self, length: timedelta, *, job: str | None = None, limit: int = MOST, now: datetime | None = None
    ) -> list[SlowAttempt]:
        """The slowest that ended lately, of one job type or of all, the slowest first."""
        now = now or datetime.now(UTC)
        last, least = hour_of(now), (now - length).timestamp()
        jobs = [job] if job is not None else [name.decode() for name in self._redis.smembers(TYPES)]  # type: ignore[union-attr]  # as in job_figures
        with self._redis.pipeline(transaction=False) as pipeline:
            for hour in range(hour_of(now - length), last + 1):
                for one in jobs:
                    pipeline.zrange(HOUR.format(hour=hour, job=one), 0, -1, desc=True, withscores=True)
            by_time = merge(*pipeline.execute(), key=itemgetter(1), reverse=True)
        found = (_read(text) for text, _ in by_time)
        return list(islice((one for one in found if one is not None and one.at >= least), limit))

    def close(self) -> None:
        self._redis.close()


def _read(text: bytes) -> SlowAttempt | None:
    values = json.loads(text)
    known = {name: values[name] for name in SlowAttempt.__dataclass_fields__ if name in values}
    try:
        return SlowAttempt(**known)
    except TypeError:
        # A worker of another version.
        return None
