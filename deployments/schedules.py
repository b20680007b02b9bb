"""The schedules of job types: when each starts next, how its last job ended; pausing one, and starting its job now.

Danger: a paused schedule stays paused over the next `redrive up`; only a changed definition is a new schedule, which runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.pool_names import OPS, POOL
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import deployments
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import CANCELLED, COMPLETED, CRASHED, FAILED, SCHEDULED
from redrive.deployments.enqueue import enqueue
from redrive.deployments.next_starts import next_starts
from redrive.deployments.people.actor import Actor

#: The pools whose schedules are shown: the company's jobs, and the housekeeping.
POOLS: Final = (POOL, OPS)
#: A start is missed when its run was not made for so long after it was due.
MISSED: Final = timedelta(seconds=60)
#: Characters of an id that name a schedule.
SHORTEST: Final = 4


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """One schedule now. `next`: its next starts; `last`: the job of its type that ended last; `waiting`: one that is due and waits."""

    id: str
    job: str
    pool: str
    queue: str
    deployment: str
    line: str
    timezone: str
    active: bool
    parameters: Mapping[str, Any]
    next: tuple[datetime, ...]
    last: Run | None
    waiting: Run | None

    @property
    def local_next(self) -> tuple[datetime, ...]:
        """Its next starts in its own time zone."""
        return tuple(at.astimezone(ZoneInfo(self.timezone)) for at in self.next)


def list_schedules() -> list[ScheduleState]:
    """Every schedule, by pool and job type."""
    with reachable():
        now = SERVER_CLOCK.now()
        found = []
        for pool in POOLS:
            there = ask(deployments.of_pool(pool))
            for one in sorted(there, key=lambda one: str(one["name"])):
                if one.get("schedules"):
                    last, waiting = _last(one), _waiting(one, now)
                    found += [_state(one, pool, each, last, waiting, now) for each in one["schedules"]]
        return found


def set_schedule(schedule_id: str, *, active: bool, by: Actor) -> ScheduleState:
    """Pause a schedule, or let it run again.

    Raises:
        NotFound: there is none.
        Conflict: it is so already.
    """
    with by.doing(f"schedule {'resume' if active else 'pause'}", _about(schedule_id)) as act:
        found = _found(schedule_id)
        act.about = about_schedule(found)
        if found.active is active:
            raise Conflict(f"the schedule {found.line!r} of {found.job} {'runs' if active else 'is paused'} already")
        kept = dict(found.parameters)
        with reachable():
            ask(deployments.switch_schedule(found.deployment, found.id, active=active, parameters=kept))
        return found


def run_now(schedule_id: str, *, by: Actor) -> Any:
    """Start the job of a schedule now, with its parameters, beside its own starts; what was accepted."""
    with by.doing("schedule run", _about(schedule_id)) as act:
        found = _found(schedule_id)
        act.about = about_schedule(found)
        return enqueue(found.job, found.parameters)


def about_schedule(found: ScheduleState) -> str:
    """How a schedule is named in the record."""
    return f"{_about(found.id[:8])} of {found.job}"


def _about(schedule_id: str) -> str:
    return f"schedule {schedule_id}"


def _found(schedule_id: str) -> ScheduleState:
    known = list_schedules()
    mine = [one for one in known if one.job == schedule_id]
    if len(mine) > 1:
        ids = ", ".join(f"{one.id[:8]} ({one.line})" for one in mine)
        raise ParameterError(f"{schedule_id} has {len(mine)} schedules; name one of them: {ids}")
    # Four characters and more: fewer fit by accident.
    mine = mine or [one for one in known if len(schedule_id) >= SHORTEST and one.id.startswith(schedule_id)]
    if not mine:
        raise NotFound(unknown("schedule", schedule_id, list(dict.fromkeys(one.job for one in known))))
    return mine[0]


def _state(
    one: Mapping[str, Any], pool: str, each: Mapping[str, Any], last: Run | None, waiting: Run | None, now: datetime
) -> ScheduleState:
    line = each["schedule"]
    active = bool(each.get("active")) and not one.get("paused")
    return ScheduleState(
        id=str(each["id"]),
        job=str(one["name"]),
        pool=pool,
        queue=str(one.get("work_queue_name") or "default"),
        deployment=str(one["id"]),
        line=_words(line),
        timezone=str(line.get("timezone") or "UTC"),
        active=active,
        parameters=each.get("parameters") or {},
        next=next_starts(line, now) if active else (),
        last=last,
        waiting=waiting,
    )


def _words(line: Mapping[str, Any]) -> str:
    if cron := line.get("cron"):
        return str(cron)
    if interval := line.get("interval"):
        return f"every {timedelta(seconds=float(interval))}"
    return str(line.get("rrule") or "unknown")


def _last(one: Mapping[str, Any]) -> Run | None:
    ended = Wanted(types=[COMPLETED, FAILED, CANCELLED, CRASHED], jobs=[str(one["name"])], deployed=False)
    return next(iter(runs.page(ended, Order.ENDED, limit=1).runs), None)


def _waiting(one: Mapping[str, Any], now: datetime) -> Run | None:
    late = Wanted(types=[SCHEDULED], jobs=[str(one["name"])], due_before=now - MISSED, deployed=False)
    return next(iter(runs.page(late, Order.DUE, limit=1).runs), None)
