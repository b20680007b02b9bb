"""What a worker says of itself: its slots and what each is doing, kept in Redis (Valkey) while it lives.

Prefect's server knows a worker's name and last heartbeat only. `redrive status` and the exporter read these reports.

Danger: a display, never a truth. Redis may be unavailable, and a killed worker's last report stays for `LIFETIME`; rescue and
counting do not look here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Self

import redis

#: One key a worker: `redrive:worker:NAME`.
PREFIX = "redrive:worker:"
#: Seconds a report stays; it is renewed several times in that time.
LIFETIME = 15
#: Seconds Redis may take to answer before it counts as unavailable: nobody waits long for a display.
PATIENCE = 1.0


@dataclass(frozen=True, kw_only=True)
class SlotReport:
    """One job that a worker runs: `run_id`, the job type (name of the flow), queue, which attempt, and since when (ISO 8601, UTC)."""

    run_id: str
    job: str
    queue: str
    attempt: int
    since: str


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """One worker: `slots` jobs at once at most, `busy` of them under way; `draining` if it takes no new ones."""

    name: str
    pool: str
    type: str
    host: str
    pid: int
    #: ISO 8601, UTC.
    started: str
    slots: int
    draining: bool = False
    #: Names of the queues it serves; empty means all of the pool's.
    queues: tuple[str, ...] = ()
    busy: tuple[SlotReport, ...] = ()
    #: Spans of its jobs that were `sent`, `dropped` for want of room, `refused` by the receiver, and that wait; empty if it does not trace.
    spans: dict[str, int] = field(default_factory=dict)
    at: str = field(default_factory=lambda: _utc(datetime.now(UTC).isoformat()))

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        values = json.loads(text)
        values["queues"] = tuple(values["queues"])
        values["busy"] = tuple(SlotReport(**{**slot, "since": _utc(slot["since"])}) for slot in values["busy"])
        return cls(**{**values, "started": _utc(values["started"]), "at": _utc(values["at"])})

    def write(self) -> str:
        return json.dumps(asdict(self))


def _utc(text: str) -> str:
    """The time as every other one of Redrive's: with a `Z`, in microseconds."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class WorkerReports:
    """The reports of all workers, in one Redis."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)

    def publish(self, report: WorkerReport) -> None:
        """Renew a worker's report.

        Raises:
            redis.RedisError: Redis is unavailable.
        """
        self._redis.set(PREFIX + report.name, report.write(), ex=LIFETIME)

    def withdraw(self, name: str) -> None:
        """Forget a worker that ended."""
        self._redis.delete(PREFIX + name)

    def all(self) -> list[WorkerReport]:
        """Every worker that reported in the last `LIFETIME` seconds, by name.

        Raises:
            redis.RedisError: Redis is unavailable.
        """
        return sorted(self._read(), key=lambda report: report.name)

    def close(self) -> None:
        self._redis.close()

    def _read(self) -> Iterator[WorkerReport]:
        for key in self._redis.scan_iter(match=f"{PREFIX}*", count=500):
            if text := self._redis.get(key):
                yield WorkerReport.read(text)
