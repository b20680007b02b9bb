"""One sample of the queues: what waits, runs and waits for a next try, by queue.

The fast server tells it in one call. Of Prefect's own calls the rows of what is due and what is in progress tell most; queues are
counted one by one only where there are more rows than one page. Workers report to Redis, which costs no call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import redis

from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.calls import counted_calls
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import queues as queue_requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, PENDING, RUNNING, SCHEDULED
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports

#: Rows of one page: enough for what a machine or two run at once.
ROWS: Final = 50


@dataclass(frozen=True, kw_only=True)
class QueueNow:
    """One queue. `oldest`: since when the longest waiting job is due; None: none waits, or it is behind those of other queues."""

    name: str
    priority: int
    paused: bool
    limit: int | None
    waiting: int
    running: int
    retrying: int
    scheduled: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The queues and workers at one moment. `calls`: what it cost."""

    at: datetime
    queues: tuple[QueueNow, ...]
    running: tuple[Run, ...]
    workers: tuple[WorkerReport, ...]
    #: Whether workers could say what they do; else Redis is unavailable.
    workers_known: bool
    calls: int = 0

    @property
    def running_now(self) -> int:
        return self.total("running")

    @property
    def slots(self) -> int:
        return sum(worker.slots for worker in self.workers)

    @property
    def oldest(self) -> datetime | None:
        return min((queue.oldest for queue in self.queues if queue.oldest), default=None)

    def total(self, what: Literal["waiting", "running", "retrying", "scheduled"]) -> int:
        """Over all queues."""
        return sum(int(getattr(queue, what)) for queue in self.queues)


class Sampler:
    """Takes samples; keeps its connection to Redis between them."""

    def __init__(self, settings: Settings) -> None:
        self._reports = WorkerReports(settings.valkey_url())
        self._later: dict[str, Counter[str]] = {}
        self._turn = 0

    def close(self) -> None:
        self._reports.close()

    def take(self) -> Sample:
        """Ask once.

        Raises:
            httpx.HTTPError: as the gateway does.
        """
        with counted_calls() as calls:
            return replace(self._take(), calls=calls.sent)

    def _take(self) -> Sample:
        now = SERVER_CLOCK.now()
        running = Wanted(types=[RUNNING, PENDING], pools=[POOL], deployed=False)
        seen = runs.snapshot(POOL, running, Order.EXPECTED, limit=ROWS)
        queues, in_progress = (_known(seen[0]), seen[1]) if seen else self._one_by_one(running, now)
        reports = self._read_reports()
        return Sample(
            at=now,
            queues=tuple(sorted(queues, key=lambda one: one.priority)),
            running=tuple(sorted(in_progress, key=lambda run: run.since)),
            workers=tuple(one for one in reports or () if one.pool == POOL),
            workers_known=reports is not None,
        )

    def _one_by_one(self, running: Wanted, now: datetime) -> tuple[list[QueueNow], list[Run]]:
        """By Prefect's own calls."""
        queues = ask(queue_requests.of_pool(POOL))
        in_progress = self._rows(running)
        due = Wanted(types=[SCHEDULED], due_before=now, pools=[POOL], deployed=False)
        waiting = self._rows(due)
        names = [str(queue["name"]) for queue in queues]
        retrying, scheduled = self._waiting_for_later(names, now)
        counts = {
            "waiting": self._by_queue(names, due, waiting),
            "running": self._by_queue(names, running, in_progress),
        }
        return [_queue(one, counts, retrying, scheduled, waiting) for one in queues], in_progress

    def _rows(self, wanted: Wanted) -> list[Run]:
        return runs.page(wanted, Order.DUE if wanted.due_before else Order.EXPECTED, limit=ROWS).runs

    def _by_queue(self, names: Sequence[str], wanted: Wanted, rows: Sequence[Run]) -> Counter[str]:
        if len(rows) < ROWS:
            return Counter(run.queue for run in rows)
        return Counter({name: runs.count(replace(wanted, queues=[name])) for name in names})

    def _waiting_for_later(self, names: Sequence[str], now: datetime) -> tuple[Counter[str], Counter[str]]:
        """What waits for its next try, and what is not due yet: of the two one a sample, as neither is in a hurry."""
        self._turn += 1
        kinds = {
            "retrying": Wanted(types=[SCHEDULED], names=[AWAITING_RETRY], pools=[POOL], deployed=False),
            "scheduled": Wanted(
                types=[SCHEDULED], not_names=[AWAITING_RETRY], due_after=now, pools=[POOL], deployed=False
            ),
        }
        for turn, (kind, wanted) in enumerate(kinds.items()):
            if kind not in self._later or self._turn % 2 == turn:
                total = runs.count(wanted)
                parts = {name: runs.count(replace(wanted, queues=[name])) for name in names} if total else {}
                self._later[kind] = Counter(parts)
        return self._later["retrying"], self._later["scheduled"]

    def _read_reports(self) -> list[WorkerReport] | None:
        try:
            return self._reports.all()
        except (redis.RedisError, ValueError, TypeError, KeyError):
            # Away, or a worker of another version: a display that is missing, and says so.
            return None


def _known(raw: Sequence[dict[str, Any]]) -> list[QueueNow]:
    return [
        QueueNow(
            name=str(one["name"]),
            priority=int(one["priority"]),
            paused=bool(one["is_paused"]),
            limit=one["concurrency_limit"],
            waiting=one["waiting"],
            running=one["running"],
            retrying=one["retrying"],
            scheduled=one["scheduled"],
            oldest=datetime.fromisoformat(one["oldest"]) if one["oldest"] else None,
        )
        for one in raw
    ]


def _queue(
    raw: dict[str, Any],
    counts: dict[str, Counter[str]],
    retrying: Counter[str],
    scheduled: Counter[str],
    waiting: Sequence[Run],
) -> QueueNow:
    name = str(raw["name"])
    mine = [run.scheduled or run.expected_start for run in waiting if run.queue == name]
    return QueueNow(
        name=name,
        priority=int(raw["priority"]),
        paused=bool(raw["is_paused"]),
        limit=raw["concurrency_limit"],
        waiting=counts["waiting"][name],
        running=counts["running"][name],
        retrying=retrying[name],
        scheduled=scheduled[name],
        oldest=min((at for at in mine if at is not None), default=None),
    )
