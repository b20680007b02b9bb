"""Adding to the counts inside a transaction: each job goes on from what was counted of it before.

Danger: names come from users. Only the first `NAMES` job types and queues have counts of their own; the rest is `other`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, func, select

from redrive.deployments.dead_letters.ledger import history
from redrive.deployments.dead_letters.ledger.count_tables import count_names, count_progress, job_counts
from redrive.deployments.dead_letters.ledger.finishes import (
    OTHER,
    Finish,
    InProgress,
    Kind,
    Progress,
    Sums,
    count_finish,
    count_in_progress,
)
from redrive.deployments.dead_letters.ledger.tallies import insert_into

#: How many names have counts of their own: a Prometheus server bears some ten thousand series of one exporter well.
NAMES: Final = {"job": 200, "queue": 20}


def count_dead(connection: Connection, dead: Sequence[Finish]) -> None:
    """Count jobs that are being recorded in this transaction, after all of the ledger's own locks."""
    add(connection, dead, ())


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


def add(connection: Connection, finishes: Sequence[Finish], in_progress: Sequence[InProgress]) -> None:
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
