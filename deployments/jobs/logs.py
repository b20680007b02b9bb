"""The log of a job, as Prefect keeps it: all of it, or as it comes until the job ended.

Danger: lines arrive in batches from several processes, so one may come after a later one; each reading looks back a little and
gives no line twice.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from redrive.blocks.core.errors import NotFound
from redrive.blocks.core.masking import mask_text
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.fast_calls import ask_fast
from redrive.blocks.prefect.requests import fast, logs
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.tracing.log_lines import unmarked
from redrive.deployments.accepted import has_ended

PAGE = logs.PAGE
#: How far a reading looks back for lines that came late: Prefect's clients send every 2 s, and again after a failure.
LOOKBACK = timedelta(seconds=30)
#: Seconds between two readings of a log that is followed.
POLL = 1.0
#: Seconds that the log of a job that has just ended is read on: its last batch comes with the end of its process.
SETTLE = 4.0


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line, secrets masked. `level` is Python's: 20 is INFO."""

    id: UUID
    at: datetime
    level: int
    logger: str
    message: str
    job_id: UUID | None
    task_run_id: UUID | None
    trace_id: str | None = None


class JobLog:
    """The log of one job, or of all; each `read` gives what came since the one before."""

    def __init__(self, job_id: UUID | None, *, level: int = 0, since: datetime | None = None) -> None:
        self._job_id, self._level = job_id, level
        self._asked: dict[str, Any] = {"level": {"ge_": level}}
        if job_id is not None:
            self._asked["flow_run_id"] = {"any_": [str(job_id)]}
        self._newest = (since or datetime(1970, 1, 1, tzinfo=UTC)) + LOOKBACK
        self._given: dict[UUID, datetime] = {}

    def read(self) -> Iterator[LogLine]:
        """The lines not yet given, the oldest first."""
        after, skipped = self._newest - LOOKBACK, 0
        while True:
            page = self._page(after, skipped)
            for line in page:
                if line.id not in self._given:
                    self._given[line.id] = line.at
                    self._newest = max(self._newest, line.at)
                    yield line
            if len(page) < PAGE:
                break
            after, skipped = _next(page, after, skipped)
        self._given = {one: at for one, at in self._given.items() if at >= self._newest - LOOKBACK}

    def _page(self, after: datetime, skipped: int) -> list[LogLine]:
        jobs = [] if self._job_id is None else [self._job_id]
        return _page(jobs, self._asked, self._level, after, skipped)


class JobLogs:
    """The logs of many jobs, read together in one call as long as they say little.

    Danger: a line that arrives later than `LOOKBACK` is not found any more; who reads one job's log alone finds it.
    """

    def __init__(self) -> None:
        self._until: dict[UUID, datetime] = {}
        self._given: dict[UUID, datetime] = {}

    def read(self, since: Mapping[UUID, datetime]) -> list[LogLine]:
        """The lines of these jobs that were not given yet, the oldest first, a page of them at most.

        Args:
            since: from when on, for a job that was not among them the time before.
        """
        self._until = {job: self._until.get(job, at) for job, at in since.items()}
        if not since:
            return []
        began, asked = SERVER_CLOCK.now(), {"level": {"ge_": 0}, "flow_run_id": {"any_": [str(job) for job in since]}}
        after, skipped, found = min(self._until.values()) - LOOKBACK, 0, list[LogLine]()
        until = began
        while not found:
            page = _page(list(since), asked, 0, after, skipped)
            found = [line for line in page if line.id not in self._given]
            if len(page) < PAGE:
                until = began
                break
            until = page[-1].at
            after, skipped = _next(page, after, skipped)
        self._until = {job: max(before, until) for job, before in self._until.items()}
        self._given |= {line.id: line.at for line in found}
        oldest = min(self._until.values()) - LOOKBACK
        self._given = {one: at for one, at in self._given.items() if at >= oldest}
        return found


def _page(jobs: Collection[UUID], asked: dict[str, Any], level: int, after: datetime, skipped: int) -> list[LogLine]:
    if jobs:
        raw = ask_fast(fast.log(jobs, level=level, after=after, skipped=skipped))
        if raw is not None:
            return [_line(one) for one in raw]
    body = {
        "logs": {**asked, "timestamp": {"after_": after.isoformat()}},
        "sort": "TIMESTAMP_ASC",
        "limit": PAGE,
        "offset": skipped,
    }
    return [_line(one) for one in ask(logs.find(body))]


def _next(page: Sequence[LogLine], after: datetime, skipped: int) -> tuple[datetime, int]:
    """Where the page behind a full one begins.

    By time and not by number, so that lines which come late move no page; numbers count within one instant only.
    """
    last = page[-1].at
    return (last, 0) if last > after else (after, skipped + PAGE)


def log_of(job_id: UUID, *, level: int = 0) -> Iterator[LogLine]:
    """The log as it is now.

    Raises:
        ApiUnavailable.
    """
    with reachable():
        yield from JobLog(job_id, level=level).read()


def follow(job_id: UUID, *, level: int = 0) -> Iterator[LogLine]:
    """The log from its beginning, as it comes, until the job ended for good.

    Raises:
        NotFound: the job was deleted. ApiUnavailable.
    """
    log, ended_at = JobLog(job_id, level=level), None
    with reachable():
        while True:
            # First whether it ended, then its lines: what it wrote before its end is not missed.
            ended = _has_ended(job_id)
            yield from log.read()
            if not ended:
                ended_at = None
            elif ended_at is None:
                ended_at = time.monotonic()
            elif time.monotonic() - ended_at >= SETTLE:
                return
            time.sleep(POLL)


def _has_ended(job_id: UUID) -> bool:
    run = runs.by_id([job_id]).get(job_id)
    if run is None:
        raise NotFound(f"there is no job {job_id} (any more)")
    return has_ended(run.state_type, run.since)


def _line(raw: dict[str, Any]) -> LogLine:
    message, trace_id = unmarked(str(raw["message"]))
    return LogLine(
        id=UUID(raw["id"]),
        at=datetime.fromisoformat(raw["timestamp"]).astimezone(UTC),
        level=int(raw["level"]),
        logger=str(raw["name"]),
        message=mask_text(message),
        job_id=UUID(raw["flow_run_id"]) if raw.get("flow_run_id") else None,
        task_run_id=UUID(raw["task_run_id"]) if raw.get("task_run_id") else None,
        trace_id=trace_id,
    )
