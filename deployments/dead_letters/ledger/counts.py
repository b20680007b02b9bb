"""The counts of finished jobs, for metrics: kept in the ledger's database so that they outlive whoever shows them.

Each end of a job is counted in one transaction with the note that it was counted: dead letters in the transaction that records
them, completed and cancelled jobs together with a note of that end and the place of the sweep that found them. So
nothing is lost or counted twice, whoever is killed when, and two exporters count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, and_, delete, func, or_, select

from redrive.deployments.dead_letters.ledger import history
from redrive.deployments.dead_letters.ledger.count_additions import add, bounded
from redrive.deployments.dead_letters.ledger.count_tables import count_progress, counted_ends, job_counts
from redrive.deployments.dead_letters.ledger.cursors import read_cursor, write_cursor
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.finishes import (
    Finish,
    InProgress,
    Key,
)
from redrive.deployments.dead_letters.ledger.tallies import insert_into

CURSOR: Final = "counted"
BEGAN: Final = "counting began"

#: How long an end that was counted stays known: longer than any sweep reaches back.
ENDS_KEPT: Final = timedelta(hours=1)

#: One end of one run. What is known of it may change (who cancels may do so twice): its time does not, and another end of the
#: same run has another time.
End = tuple[UUID, datetime]

#: How long it is remembered what was counted of a job that never ended otherwise: longer than dead letters wait for a person.
PROGRESS_KEPT: Final = timedelta(days=400)


class Counts:
    """The counts in the ledger's database. Raises `LedgerUnavailable` when that cannot be reached."""

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
            in_progress: jobs that wait for a next try.
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
    add(connection, fresh, in_progress)
    if cursor is not None:
        write_cursor(connection, CURSOR, cursor.isoformat())
    return len(fresh)


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
