"""The queues now: what waits, runs and waits for a next try in each, by counting calls whose cost does not grow.

A queue is asked about only when its pool has something: an idle stack costs three counts.

Danger: numbers of one poll are taken one after another; a job that starts meanwhile may be in two of them or in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect.requests import queues as queue_requests
from redrive.blocks.prefect.requests import runs as run_requests
from redrive.blocks.prefect.requests import workers as worker_requests
from redrive.blocks.prefect.states import AWAITING_RETRY, PENDING
from redrive.blocks.prefect.states import RUNNING as IS_RUNNING
from redrive.blocks.prefect.states import SCHEDULED as IS_SCHEDULED
from redrive.dashboards.exporter.prefect import PrefectApi

#: Queues that are looked at, in the order in which they are served.
QUEUES = 20
#: Runs that are read to find the one that is longest in its state. Prefect sorts by the first start of a run, which for one that
#: was tried again lies before the start of the attempt that runs; so the first one need not be the one.
OLDEST_AMONG = 20

SCHEDULED = {"type": {"any_": [IS_SCHEDULED]}}
UNDER_WAY = {"type": {"any_": [IS_RUNNING, PENDING]}}
RUNNING = {"type": {"any_": [IS_RUNNING]}}
#: Claimed by a worker and not started.
STARTING = {"type": {"any_": [PENDING]}}
RETRYING = {"name": {"any_": [AWAITING_RETRY]}}
FIRST_TIME = {"type": {"any_": [IS_SCHEDULED]}, "name": {"not_any_": [AWAITING_RETRY]}}


@dataclass(frozen=True, kw_only=True)
class Depth:
    """One queue. `waiting`: due and not started, retries that are due included; `oldest`: since when the first of them is due.
    `running` includes `starting`: claimed by a worker and not started; both have the time since when their oldest is so.
    """

    queue: str
    paused: bool
    waiting: int = 0
    scheduled: int = 0
    running: int = 0
    retrying: int = 0
    starting: int = 0
    oldest: datetime | None = None
    oldest_running: datetime | None = None
    oldest_starting: datetime | None = None


def depths(api: PrefectApi) -> list[Depth]:
    """Every queue of the pool."""
    queues = api.ask(queue_requests.of_pool(POOL, limit=QUEUES))
    waits = api.count({"state": SCHEDULED}, pool=POOL) > 0
    retries = waits and api.count({"state": RETRYING}, pool=POOL) > 0
    runs = api.count({"state": UNDER_WAY}, pool=POOL) > 0
    return [_depth(api, queue, waits=waits, retries=retries, runs=runs) for queue in queues]


def _depth(api: PrefectApi, queue: dict[str, Any], *, waits: bool, retries: bool, runs: bool) -> Depth:
    now = api.now()
    due = {"state": SCHEDULED, "next_scheduled_start_time": {"before_": now.isoformat()}}
    later = {"state": FIRST_TIME, "next_scheduled_start_time": {"after_": now.isoformat()}}
    waiting = api.count(due, queue=queue["id"]) if waits else 0
    running = api.count({"state": UNDER_WAY}, queue=queue["id"]) if runs else 0
    starting = api.count({"state": STARTING}, queue=queue["id"]) if running else 0
    return Depth(
        queue=queue["name"],
        paused=bool(queue["is_paused"]),
        waiting=waiting,
        scheduled=api.count(later, queue=queue["id"]) if waits else 0,
        retrying=api.count({"state": RETRYING}, queue=queue["id"]) if retries else 0,
        running=running,
        starting=starting,
        oldest=_oldest(api, queue["id"], due) if waiting else None,
        oldest_running=_longest_in(api, queue["id"], RUNNING) if running > starting else None,
        oldest_starting=_longest_in(api, queue["id"], STARTING) if starting else None,
    )


def _oldest(api: PrefectApi, queue: str, due: dict[str, Any]) -> datetime | None:
    body = {
        "flow_runs": due,
        "work_pool_queues": {"id": {"any_": [queue]}},
        "sort": "NEXT_SCHEDULED_START_TIME_ASC",
        "limit": 1,
    }
    found = api.ask(run_requests.find(body))
    at = found[0].get("next_scheduled_start_time") if found else None
    return datetime.fromisoformat(at) if at else None


def _longest_in(api: PrefectApi, queue: str, state: dict[str, Any]) -> datetime | None:
    """Since when the run that is longest in this state is so."""
    body = {
        "flow_runs": {"state": state},
        "work_pool_queues": {"id": {"any_": [queue]}},
        "sort": "START_TIME_ASC",
        "limit": OLDEST_AMONG,
    }
    since = [datetime.fromisoformat(run["state"]["timestamp"]) for run in api.ask(run_requests.find(body))]
    return min(since, default=None)


def online_workers(api: PrefectApi) -> list[str]:
    """Names of the pool's workers that sent a heartbeat lately."""
    return [str(worker["name"]) for worker in api.ask(worker_requests.of_pool(POOL, online=True))]
