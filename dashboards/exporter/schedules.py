"""Schedules that do not fire: how long ago the next run of one should have been made, and was not.

Prefect makes the runs of a schedule ahead of their time, so a poll is due only when the last one it made has come.

Danger: a run that was made and waits is no matter of its schedule; it shows as a waiting job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect.flow_names import FlowNames
from redrive.blocks.prefect.requests import deployments, runs
from redrive.dashboards.exporter.prefect import PrefectApi
from redrive.deployments.schedule import CRON_WORDS

#: Deployments a poll reads; with more of them the polls take turns, so that each costs the same.
PAGE = 200
#: Prefect puts this tag on the runs it makes for a schedule.
BY_SCHEDULE = "auto-scheduled"


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """A deployment: its job type, its queue, the lines by which it starts by itself (none if paused)."""

    id: str
    job: str
    queue: str
    schedules: tuple[Mapping[str, Any], ...]
    #: When its schedules were last changed.
    since: datetime


@dataclass
class Schedules:
    """What is known of the deployments, read bit by bit."""

    api: PrefectApi
    names: FlowNames
    kinds: dict[str, JobKind] = field(default_factory=dict)
    _made: dict[str, datetime | None] = field(default_factory=dict)
    _offset: int = 0
    _round: set[str] = field(default_factory=set)

    def sample(self) -> None:
        """Read one page of deployments, and what Prefect made of schedules that seem to be overdue."""
        body = {
            "work_pools": {"name": {"any_": [POOL]}},
            "sort": "NAME_ASC",
            "limit": PAGE,
            "offset": self._offset,
        }
        page = self.api.ask(deployments.find(body))
        self.names.learn(one["flow_id"] for one in page)
        for one in page:
            self.kinds[one["id"]] = _kind(one, self.names[one["flow_id"]])
            self._round.add(one["id"])
        self._offset += PAGE
        if len(page) < PAGE:
            self.kinds = {key: kind for key, kind in self.kinds.items() if key in self._round}
            self._offset, self._round = 0, set()
        for one in page:
            kind = self.kinds.get(one["id"])
            if kind and kind.schedules and self._overdue(kind, self.api.now()):
                self._made[kind.id] = self._latest(kind)

    def due(self) -> dict[tuple[str, str], datetime | None]:
        """By queue and job type with an active schedule: since when a run is missing; None if none is."""
        now = self.api.now()
        found: dict[tuple[str, str], datetime | None] = {}
        for kind in self.kinds.values():
            if kind.schedules:
                place = (kind.queue, kind.job)
                found[place] = min(filter(None, (found.get(place), self._overdue(kind, now))), default=None)
        return found

    def _overdue(self, kind: JobKind, now: datetime) -> datetime | None:
        at = next_start(kind.schedules, after=self._made.get(kind.id) or kind.since)
        return at if at is not None and at < now else None

    def _latest(self, kind: JobKind) -> datetime | None:
        body = {
            "flow_runs": {"deployment_id": {"any_": [kind.id]}, "tags": {"all_": [BY_SCHEDULE]}},
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": 1,
        }
        found = self.api.ask(runs.find(body))
        return datetime.fromisoformat(found[0]["expected_start_time"]) if found else None


def next_start(schedules: tuple[Mapping[str, Any], ...], *, after: datetime) -> datetime | None:
    """When the first of them starts a run after that time; None if none does, or none can be read here."""
    return min(_starts(schedules, after), default=None)


def _starts(schedules: tuple[Mapping[str, Any], ...], after: datetime) -> Iterator[datetime]:
    for line in schedules:
        zone = ZoneInfo(line.get("timezone") or "UTC")
        if cron := line.get("cron"):
            try:
                yield next(CronSim(CRON_WORDS.get(cron, cron), after.astimezone(zone))).astimezone(UTC)
            except (CronSimError, StopIteration):
                # A form of cron that Prefect reads and this library does not: better no figure than a wrong one.
                continue
        elif (interval := line.get("interval")) and line.get("anchor_date"):
            step = timedelta(seconds=float(interval))
            anchor = datetime.fromisoformat(line["anchor_date"])
            yield anchor + ((after - anchor) // step + 1) * step


def _kind(one: Mapping[str, Any], job: str) -> JobKind:
    active = [each for each in one.get("schedules") or () if each.get("active")]
    changed = [datetime.fromisoformat(each["updated"]) for each in active if each.get("updated")]
    return JobKind(
        id=one["id"],
        job=job,
        queue=one.get("work_queue_name") or "default",
        schedules=() if one.get("paused") else tuple(each["schedule"] for each in active),
        since=max(changed, default=datetime.now(UTC)),
    )
