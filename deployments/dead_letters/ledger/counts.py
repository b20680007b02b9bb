"""The counts of finished jobs, for metrics: kept in the ledger's database so that they outlive whoever shows them.

Each end of a job is counted in one transaction with the note that it was counted: dead letters in the transaction that records
them, completed and cancelled jobs together with a note of that end and the place of the sweep that found them. So
nothing is lost or counted twice, whoever is killed when, and two exporters count as one.

Danger: names come from users. Only the first `NAMES` job types and queues have counts of their own; the rest is `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, and_, delete, func, or_, select

from redrive.deployments.dead_letters.ledger import history
from redrive.deployments.dead_letters.ledger.cursors import read_cursor, write_cursor
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.finishes import (
    OTHER,
    Finish,
    InProgress,
    Key,
    Kind,
    Progress,
    Sums,
    count_finish,
    count_in_progress,
)
from redrive.deployments.dead_letters.ledger.tables import count_names, count_progress, counted_ends, job_counts
from redrive.deployments.dead_letters.ledger.tallies import insert_into

CURSOR: Final = "counted"
BEGAN: Final = "counting began"

#: How many names have counts of their own: a Prometheus server bears some ten thousand series of one exporter well.
NAMES: Final = {"job": 200, "queue": 20}

#: How long an end that was counted stays known: longer than any sweep reaches back.
ENDS_KEPT: Final = timedelta(hours=1)

#: One end of one run. What is known of it may change (who cancels may do so twice): its time does not, and another end of the
#: same run has another time.
End = tuple[UUID, datetime]

#: How long it is remembered what was counted of a job that never ended otherwise: longer than dead letters wait for a person.
PROGRESS_KEPT: Final = timedelta(days=400)


class Counts:
    """The counts in the ledger's database. Raises `LedgerAway` when that cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cursor(self) -> datetime | None:
        """Up to which end all completed and cancelled jobs were counted."""
        return self._place(CURSOR)

    def began(self) -> datetime | None:
        """When counting began: what ended before is history, and counted it would look like a rate."""
        return self._place(BEGAN)

    def _place(self, name: str) -> datetime | None:
        found = self._database.run(lambda connection: read_cursor(connection, name))
        return datetime.fromisoformat(found) if found else None

    def count(
        self,
        finishes: Sequence[Finish] = (),
        *,
        in_progress: Sequence[InProgress] = (),
        seen: Iterable[End] = (),
        cursor: datetime | None = None,
    ) -> int:
        """Count what was not counted before, in one transaction; returns how many ends were new.

        Args:
            finishes: ends of completed and cancelled jobs.
            underway: jobs that wait for a next try.
            seen: ends that were looked at and are none to count: they are known from then on.
            cursor: where the sweep has come to, if this was the last of it.
        """
        ends = {*seen, *((finish.run_id, finish.at) for finish in finishes)}
        return self._database.run(partial(_count, finishes=finishes, in_progress=in_progress, ends=ends, cursor=cursor))

    def known_between(self, since: datetime, until: datetime) -> int:
        """How many ends of this time (its own beginning and end included) were looked at."""
        query = select(func.count()).where(counted_ends.c.ended.between(since, until))
        return self._database.run(lambda connection: connection.scalar(query) or 0)

    def name(self, kind: Literal["job", "queue"], names: Iterable[str]) -> dict[str, str]:
        """Give names counts of their own while there is room, before there is something to count; what each is counted as."""
        wanted = sorted(set(names))
        return self._database.run(lambda connection: bounded(connection, kind, wanted))

    def all(self) -> dict[Key, float]:
        """Every count by metric, queue, job type and label."""
        query = select(job_counts)
        return self._database.run(
            lambda connection: {
                (row.metric, row.queue, row.job, row.label): row.value for row in connection.execute(query)
            }
        )

    def since(
        self, since: datetime, *, step: int, job: str | None = None, queue: str | None = None
    ) -> list[history.Counted]:
        """What was counted since then by time, in steps of `history.MINUTE` or `history.QUARTER` seconds."""
        return self._database.run(
            lambda connection: history.read(connection, step=step, since=since, job=job, queue=queue)
        )

    def forget(self, before: datetime) -> None:
        """Forget counted ends before those that any sweep still reaches; `before` is the cursor."""
        self._database.run(partial(_forget, before=before))

    def remember(self, name: str, wanted: Callable[[str | None], str | None]) -> str | None:
        """A small text that outlives the exporter: what `wanted` makes of the one kept under that name."""
        return self._database.run(partial(_remember, name=name, wanted=wanted))


def count_dead(connection: Connection, dead: Sequence[Finish]) -> None:
    """Count jobs that are being recorded in this transaction, after all of the ledger's own locks."""
    _add(connection, dead, ())


def bounded(connection: Connection, kind: str, names: Iterable[str]) -> dict[str, str]:
    """What each name is counted as: itself, or `other` when there are too many."""
    wanted = set(names)
    if not wanted:
        return {}
    known = set(
        connection.scalars(select(count_names.c.name).where(count_names.c.kind == kind, count_names.c.name.in_(wanted)))
    )
    if new := sorted(wanted - known):
        room = NAMES[kind] - (
            connection.scalar(select(func.count()).select_from(count_names).where(count_names.c.kind == kind)) or 0
        )
        if taken := new[: max(0, room)]:
            insert = insert_into(connection, count_names).on_conflict_do_nothing()
            connection.execute(insert, [{"kind": kind, "name": name} for name in taken])
            known |= set(taken)
    return {name: name if name in known else OTHER for name in wanted}


def _count(
    connection: Connection,
    *,
    finishes: Sequence[Finish],
    in_progress: Sequence[InProgress],
    ends: set[End],
    cursor: datetime | None,
) -> int:
    new: set[End] = set()
    if ends:
        # Another exporter that counts the same end makes this wait, and is then not inserted.
        insert = (
            insert_into(connection, counted_ends)
            .on_conflict_do_nothing(index_elements=["run_id", "ended"])
            .returning(counted_ends.c.run_id, counted_ends.c.ended)
        )
        rows = [{"run_id": run_id, "ended": ended} for run_id, ended in sorted(ends)]
        new = {(row.run_id, row.ended) for row in connection.execute(insert, rows)}
    fresh = [finish for finish in finishes if (finish.run_id, finish.at) in new]
    _add(connection, fresh, in_progress)
    if cursor is not None:
        write_cursor(connection, CURSOR, cursor.isoformat())
    return len(fresh)


def _add(connection: Connection, finishes: Sequence[Finish], in_progress: Sequence[InProgress]) -> None:
    if not finishes and not in_progress:
        return
    parts, part = history.by_minute()
    now = datetime.now(UTC)
    named = _named(connection, [*finishes, *in_progress])
    progress = _locked_progress(connection, [*finishes, *in_progress])
    after: dict[UUID, Progress] = {}
    for job in sorted(in_progress, key=lambda one: one.run_id):
        before = after.get(job.run_id) or progress.get(job.run_id, Progress())
        after[job.run_id] = count_in_progress(replace(job, kind=named[job.kind]), before, part(now))
    for finish in sorted(finishes, key=lambda one: one.at):
        before = after.get(finish.run_id) or progress.get(finish.run_id, Progress())
        after[finish.run_id] = count_finish(replace(finish, kind=named[finish.kind]), before, part(finish.at))
    _write_progress(connection, progress, after)
    sums = Sums()
    for one in parts.values():
        sums.include(one)
    _write(connection, sums)
    history.write(connection, parts, now)


def _named(connection: Connection, jobs: Sequence[InProgress]) -> dict[Kind, Kind]:
    kinds = {job.kind for job in jobs}
    queues = bounded(connection, "queue", {kind.queue for kind in kinds})
    types = bounded(connection, "job", {kind.job for kind in kinds})
    return {kind: Kind(queue=queues[kind.queue], job=types[kind.job]) for kind in kinds}


def _locked_progress(connection: Connection, jobs: Sequence[InProgress]) -> dict[UUID, Progress]:
    # A job that went through a retry, a rescue or a death may be counted by the keeper and by an exporter at once: there must
    # be a row to lock. Most jobs went through none, and cost no row.
    eventful = sorted(
        {job.run_id for job in jobs if job.retries or job.rescues or (isinstance(job, Finish) and job.status == "dead")}
    )
    if eventful:
        blank = {**asdict(Progress()), "updated": datetime.now(UTC)}
        insert = insert_into(connection, count_progress).on_conflict_do_nothing(index_elements=["run_id"])
        connection.execute(insert, [{"run_id": run_id, **blank} for run_id in eventful])
    query = select(count_progress).where(count_progress.c.run_id.in_({job.run_id for job in jobs}))
    found = connection.execute(query.order_by(count_progress.c.run_id).with_for_update())
    return {
        row.run_id: Progress(
            since=row.since,
            retries=row.retries,
            rescues=row.rescues,
            spent=row.spent,
            ran=row.ran,
            started=row.started,
            done=row.done,
        )
        for row in found
    }


def _write_progress(connection: Connection, before: dict[UUID, Progress], after: dict[UUID, Progress]) -> None:
    now = datetime.now(UTC)
    kept = [
        {"run_id": run_id, **asdict(after[run_id]), "updated": now}
        for run_id in sorted(before.keys() & after.keys())
        if after[run_id] != before[run_id]
    ]
    if kept:
        insert = insert_into(connection, count_progress)
        changed = {name: insert.excluded[name] for name in kept[0] if name != "run_id"}
        connection.execute(insert.on_conflict_do_update(index_elements=["run_id"], set_=changed), kept)


def _write(connection: Connection, sums: Sums) -> None:
    columns = ("metric", "queue", "job", "label")
    insert = insert_into(connection, job_counts)
    if added := list(sums.amounts()):
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=list(columns), set_={"value": job_counts.c.value + insert.excluded.value}
            ),
            [{**dict(zip(columns, key, strict=True)), "value": float(amount)} for key, amount in added],
        )
    if sums.latest:
        greatest = func.greatest if connection.dialect.name == "postgresql" else func.max
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=list(columns),
                set_={"value": greatest(job_counts.c.value, insert.excluded.value)},
            ),
            [{**dict(zip(columns, key, strict=True)), "value": at} for key, at in sorted(sums.latest.items())],
        )


def _forget(connection: Connection, *, before: datetime) -> None:
    connection.execute(delete(counted_ends).where(counted_ends.c.ended < before - ENDS_KEPT))
    now = datetime.now(UTC)
    history.forget(connection, now)
    done = and_(count_progress.c.done, count_progress.c.updated < now - ENDS_KEPT)
    connection.execute(delete(count_progress).where(or_(done, count_progress.c.updated < now - PROGRESS_KEPT)))


def _remember(connection: Connection, *, name: str, wanted: Callable[[str | None], str | None]) -> str | None:
    before: Any = read_cursor(connection, name)
    after = wanted(before)
    if after != before:
        write_cursor(connection, name, after or "")
    return after
