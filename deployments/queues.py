"""The queues of work pool `jobs`: what waits in them, and pausing and resuming them.

Danger: a paused queue takes jobs but starts none; they wait, and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import queues
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, PENDING, RUNNING, SCHEDULED


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """One queue now. `waiting`: due and not started; `scheduled`: not yet due; `retrying`: waiting for a next try."""

    name: str
    priority: int
    paused: bool
    limit: int | None
    waiting: int
    scheduled: int
    retrying: int
    running: int
    #: Since when the longest waiting job is due; None if none waits.
    oldest: datetime | None = None


def list_queues() -> list[QueueState]:
    """All queues, the first served first."""
    with reachable():
        return [_state(queue) for queue in sorted(_queues(), key=lambda queue: int(queue["priority"]))]


def pause_queue(name: str, *, paused: bool) -> QueueState:
    """Pause or resume a queue.

    Raises:
        NotFound: there is no such queue.
        Conflict: it is so already.
    """
    with reachable():
        there = {queue["name"]: queue for queue in _queues()}
        if name not in there:
            raise NotFound(unknown("queue", name, sorted(there)))
        if bool(there[name]["is_paused"]) is paused:
            raise Conflict(f"queue {name!r} is {'paused' if paused else 'running'} already")
        ask(queues.update(POOL, name, {"is_paused": paused}))
        return _state({**there[name], "is_paused": paused})


def _queues() -> list[dict[str, Any]]:
    # Prefect gives every pool a queue named `default`, which is also one of ours.
    return ask(queues.of_pool(POOL))


def _state(queue: dict[str, Any]) -> QueueState:
    now = SERVER_CLOCK.now().isoformat()
    scheduled = {"type": {"any_": [SCHEDULED]}}
    due = {"next_scheduled_start_time": {"before_": now}}
    later = {"next_scheduled_start_time": {"after_": now}}
    retrying = {"state": {"name": {"any_": [AWAITING_RETRY]}}}
    waiting = _count(queue["id"], {"state": scheduled, **due})
    return QueueState(
        name=queue["name"],
        priority=int(queue["priority"]),
        paused=bool(queue["is_paused"]),
        limit=queue["concurrency_limit"],
        waiting=waiting,
        scheduled=_count(queue["id"], {"state": scheduled, **later}) - _count(queue["id"], {**retrying, **later}),
        retrying=_count(queue["id"], retrying),
        running=_count(queue["id"], {"state": {"type": {"any_": [RUNNING, PENDING]}}}),
        oldest=_oldest(queue["id"], {"state": scheduled, **due}) if waiting else None,
    )


def _oldest(queue_id: str, due: dict[str, Any]) -> datetime | None:
    body = {
        "flow_runs": due,
        "work_pool_queues": {"id": {"any_": [queue_id]}},
        "sort": "NEXT_SCHEDULED_START_TIME_ASC",
        "limit": 1,
    }
    found = ask(requests.find(body))
    at = found[0].get("next_scheduled_start_time") if found else None
    return datetime.fromisoformat(at) if at else None


def _count(queue_id: str, runs: dict[str, Any]) -> int:
    body = {"flow_runs": runs, "work_pool_queues": {"id": {"any_": [queue_id]}}}
    return ask(requests.count(body))
