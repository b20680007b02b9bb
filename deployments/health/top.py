"""What `redrive top` shows: one sample of the queues, the workers with what each slot does, the pace, and what died.

Danger: a display. Parts of it come from different places one after another; where Redis or the ledger is unavailable, that part is
missing and says so, and the rest stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import redis

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import workers as requests
from redrive.blocks.prefect.states import COMPLETED, FAILED
from redrive.blocks.prefect.wanted import Wanted
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports
from redrive.deployments.care import care_of
from redrive.deployments.dead_letters.ledger import Filter, Group, Ledger
from redrive.deployments.health.keeper_health import KeeperHealth, keeper_health
from redrive.deployments.jobs.details import Job, list_jobs
from redrive.deployments.queues import QueueState, list_queues

#: Causes that are shown.
CAUSES = 5
#: Jobs under way that are read where no worker reports them.
JOBS = 200
#: Minutes that the pace is told for: now, and for comparison.
MINUTES = (1, 15)


@dataclass(frozen=True, kw_only=True)
class Busy:
    """One job under way. `attempt` is None where nobody reported it."""

    run_id: str
    job: str
    queue: str
    since: datetime | None
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker; `slots` is None for one that reports nothing, such as Prefect's own."""

    name: str
    slots: int | None
    busy: tuple[Busy, ...]
    draining: bool = False
    host: str | None = None
    started: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Jobs per minute that ended in the last `minutes`."""

    minutes: int
    done: float
    failed: float


@dataclass(frozen=True, kw_only=True)
class Top:
    """One look. `dead` and `keeper` are None when the ledger is unavailable."""

    at: datetime
    queues: tuple[QueueState, ...]
    workers: tuple[Worker, ...]
    pace: tuple[Pace, ...]
    dead: tuple[Group, ...] | None
    open_dead: int | None
    keeper: KeeperHealth | None
    #: Who cares for the job types of `dead`, as far as named.
    owners: Mapping[str, str] = field(default_factory=dict)
    #: Job types beyond their budgets of performance, one sentence each.
    over_budget: tuple[str, ...] = ()
    #: What could not be asked, one sentence each.
    missing: tuple[str, ...] = ()


class Watch:
    """Takes looks; keeps its connections between them."""

    def __init__(self, over_budget: Callable[[Ledger, datetime], Iterable[str]] = lambda _ledger, _now: ()) -> None:
        """Budgets are whoever's who has the thresholds: `over_budget` says in sentences what exceeds them."""
        here = settings()
        self._over_budget = over_budget
        self._ledger = Ledger(here.ledger_url())
        self._reports = WorkerReports(here.valkey_url())

    def close(self) -> None:
        self._ledger.close()
        self._reports.close()

    def sample(self) -> Top:
        """Ask everything once.

        Raises:
            ApiUnavailable: Prefect cannot be reached; without it there is nothing to show.
        """
        missing: list[str] = []
        queues = tuple(list_queues())
        under_way = list_jobs(state="running", limit=JOBS) if any(queue.running for queue in queues) else []
        with reachable():
            pace = tuple(_pace(minutes) for minutes in MINUTES)
            online = _online()
        dead, open_dead, keeper = self._read_ledger(missing)
        return Top(
            at=datetime.now(UTC),
            queues=queues,
            workers=tuple(workers(self._read_reports(missing), online, under_way)),
            pace=pace,
            dead=dead,
            open_dead=open_dead,
            keeper=keeper,
            owners=_owners(dead or ()),
            over_budget=() if dead is None else tuple(self._over_budget(self._ledger, datetime.now(UTC))),
            missing=tuple(missing),
        )

    def _read_reports(self, missing: list[str]) -> list[WorkerReport]:
        try:
            return [report for report in self._reports.all() if report.pool == POOL]
        except redis.RedisError:
            missing.append("Redis is unavailable: slots are not known, jobs under way come from Prefect")
        except (ValueError, TypeError, KeyError):
            missing.append("a worker of another version reports in a form that cannot be read here")
        return []

    def _read_ledger(self, missing: list[str]) -> tuple[tuple[Group, ...] | None, int | None, KeeperHealth | None]:
        try:
            wanted = Filter(status="open")
            groups = self._ledger.groups(wanted, limit=CAUSES)
            keeper = keeper_health(self._ledger.duties())
            return tuple(group.masked() for group in groups), self._ledger.count(wanted), keeper
        except LedgerUnavailable as error:
            missing.append(str(error))
            return None, None, None


def workers(reports: Iterable[WorkerReport], online: Iterable[str], under_way: Iterable[Job]) -> list[Worker]:
    """Those that report, with their slots; then those that Prefect alone knows, with the jobs that carry their name."""
    found = [_reported(report) for report in reports]
    known = {worker.name for worker in found}
    answer = {busy.run_id for worker in found for busy in worker.busy}
    others: dict[str, list[Busy]] = {name: [] for name in sorted(online) if name not in known}
    for job in under_way:
        if str(job.id) not in answer and job.worker not in known:
            busy = Busy(run_id=str(job.id), job=job.job, queue=job.queue or "", since=job.since)
            others.setdefault(job.worker or "(no worker signed)", []).append(busy)
    return [*found, *(Worker(name=name, slots=None, busy=tuple(busy)) for name, busy in others.items())]


def _reported(report: WorkerReport) -> Worker:
    return Worker(
        name=report.name,
        slots=report.slots,
        draining=report.draining,
        host=report.host,
        started=datetime.fromisoformat(report.started),
        busy=tuple(
            Busy(
                run_id=slot.run_id,
                job=slot.job,
                queue=slot.queue,
                since=datetime.fromisoformat(slot.since),
                attempt=slot.attempt,
            )
            for slot in report.busy
        ),
    )


def _online() -> list[str]:
    return [str(worker["name"]) for worker in ask(requests.of_pool(POOL, online=True))]


def _pace(minutes: int) -> Pace:
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    return Pace(minutes=minutes, done=_ended(COMPLETED, since) / minutes, failed=_ended(FAILED, since) / minutes)


def _ended(state: str, since: datetime) -> int:
    return runs.count(Wanted(types=[state], pools=[POOL], ended_after=since, deployed=False))


def _owners(dead: Iterable[Group]) -> dict[str, str]:
    named = {job: care_of(settings().home, job).owner for group in dead for job in group.jobs}
    return {job: owner for job, owner in named.items() if owner}
