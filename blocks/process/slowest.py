"""The slowest attempts of jobs, hour by hour, in Redis (Valkey): Prefect's API sorts runs by time, but not by how long they took.

Danger: a display, as `job_figures` is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import redis

from redrive.blocks.process.job_figures import KEPT, hour_of
from redrive.blocks.process.worker_report import PATIENCE

HOUR: Final = "redrive:slowest:{hour}"
#: Attempts that are kept of each hour.
MOST: Final = 100


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


class Slowest:
    """Those of all workers, in one Redis. Each raises `redis.RedisError` when that is unavailable."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)

    def add(self, attempts: Iterable[SlowAttempt], now: datetime) -> None:
        """Add what may be among the slowest of this hour."""
        slowest = sorted(attempts, key=lambda one: one.seconds)[-MOST:]
        if not slowest:
            return
        key = HOUR.format(hour=hour_of(now))
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zadd(key, {json.dumps(asdict(one)): one.seconds for one in slowest})
            pipeline.zremrangebyrank(key, 0, -MOST - 1)
            pipeline.expire(key, KEPT)
            pipeline.execute()

    def since(self, length: timedelta, *, limit: int = MOST, now: datetime | None = None) -> list[SlowAttempt]:
        """The slowest that ended lately, the slowest first."""
        now = now or datetime.now(UTC)
        last, least = hour_of(now), (now - length).timestamp()
        with self._redis.pipeline(transaction=False) as pipeline:
            for hour in range(hour_of(now - length), last + 1):
                pipeline.zrange(HOUR.format(hour=hour), 0, -1)
            found = [_read(text) for texts in pipeline.execute() for text in texts]
        lately = [one for one in found if one is not None and one.at >= least]
        return sorted(lately, key=lambda one: one.seconds, reverse=True)[:limit]

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
