"""What is known of a cause beyond its sums: how it went over time, whether it came back after it was resolved, and people's notes.

Danger: nothing here may get slower with the age of the ledger, or with how much failed today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, and_, cast, func, select, text

from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.operator_tables import notes
from redrive.deployments.dead_letters.ledger.quarters import quarters
from redrive.deployments.dead_letters.ledger.tables import dead_letters, groups, tallies
from redrive.deployments.dead_letters.ledger.tallies import insert_into
from redrive.deployments.dead_letters.ledger.text import storable

#: Characters of a note.
NOTE_LIMIT: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Note:
    """What somebody wrote about a cause."""

    fingerprint: str
    text: str
    who: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The open rows of one error in one queue; `since`: those among them that failed last at or after each of the times asked for."""

    error_type: str
    queue: str
    count: int
    since: tuple[int, ...]


class Causes:
    """The causes in the ledger's database. Raises `LedgerUnavailable` when that cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def trends(
        self, fingerprints: Sequence[str], *, now: datetime, length: timedelta, points: int
    ) -> dict[str, list[int]]:
        """By fingerprint: how many rows failed last in each of so many equal parts of the time up to now.

        Args:
            length: a day at most, in parts of whole quarters of an hour.
        """
        step = int(length.total_seconds() // points)
        first = int(now.timestamp()) // step - points + 1
        since = datetime.fromtimestamp(first * step, UTC)

        def work(connection: Connection) -> dict[str, list[int]]:
            if connection.dialect.name == "postgresql":
                seconds: Any = func.extract("epoch", quarters.c.at)
            else:
                seconds = cast(func.strftime("%s", quarters.c.at), BigInteger)
            # Added up there: a day of fifty causes has ten thousand of these sums.
            part = cast(func.floor(seconds / step), BigInteger).label("part")
            query = (
                select(quarters.c.fingerprint, part, func.sum(quarters.c.count).label("number"))
                .where(quarters.c.fingerprint.in_(fingerprints), quarters.c.at >= since)
                .group_by(quarters.c.fingerprint, part)
            )
            found = {one: [0] * points for one in fingerprints}
            for row in connection.execute(query):
                place = int(row.part) - first
                if 0 <= place < points:
                    found[row.fingerprint][place] += int(row.number)
            return {one: [max(0, number) for number in trend] for one, trend in found.items()}

        return self._database.run(work) if fingerprints else {}

    def resolved(self, fingerprints: Sequence[str]) -> dict[str, datetime]:
        """By fingerprint: when the row of it that failed last among the resolved ones was resolved."""
        newest = (
            select(dead_letters.c.closed_at)
            .where(dead_letters.c.fingerprint == groups.c.fingerprint, dead_letters.c.status == text("'resolved'"))
            .order_by(dead_letters.c.last_failure.desc(), dead_letters.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        known = and_(groups.c.fingerprint.in_(fingerprints), groups.c.resolved > 0)
        query = select(groups.c.fingerprint, newest.label("at")).where(known)
        return self._database.run(
            lambda connection: {row.fingerprint: row.at for row in connection.execute(query) if row.at is not None}
        )

    def matrix(self, *, since: Sequence[datetime]) -> list[Cell]:
        """The open rows by error and queue, the most first; of each how many failed last at or after each of these times.

        Args:
            since: where quarters of an hour begin, in the last day.
        """

        def work(connection: Connection) -> list[Cell]:
            key = (tallies.c.error_type, tallies.c.queue)
            whole = select(*key, func.sum(tallies.c.count).label("number")).where(
                tallies.c.status == "open", tallies.c.count > 0
            )
            after = [
                func.coalesce(func.sum(quarters.c.count).filter(quarters.c.at >= at), 0).label(f"after_{number}")
                for number, at in enumerate(since)
            ]
            late = (
                select(quarters.c.error_type, quarters.c.queue, *after)
                .where(quarters.c.status == "open", quarters.c.at >= min(since))
                .group_by(quarters.c.error_type, quarters.c.queue)
            )
            lately = {
                (row[0], row[1]): tuple(max(0, int(number)) for number in row[2:]) for row in connection.execute(late)
            }
            found = [
                Cell(
                    error_type=row.error_type,
                    queue=row.queue,
                    count=int(row.number),
                    since=lately.get((row.error_type, row.queue), (0,) * len(since)),
                )
                for row in connection.execute(whole.group_by(*key))
            ]
            return sorted(found, key=lambda cell: (-cell.count, cell.error_type, cell.queue))

        return self._database.run(work)

    def notes(self, fingerprints: Sequence[str]) -> dict[str, Note]:
        """The notes about these causes."""
        query = select(notes).where(notes.c.fingerprint.in_(fingerprints))
        return self._database.run(
            lambda connection: {
                row.fingerprint: Note(fingerprint=row.fingerprint, text=row.text, who=row.who, at=row.at)
                for row in connection.execute(query)
            }
        )

    def write_note(self, fingerprint: str, text: str, *, who: str) -> None:
        """Write the note about a cause in the place of the one before; an empty one takes it away."""
        row = {
            "fingerprint": fingerprint,
            "text": storable(text.strip(), limit=NOTE_LIMIT),
            "who": who,
            "at": datetime.now(UTC),
        }

        def work(connection: Connection) -> None:
            if not row["text"]:
                connection.execute(notes.delete().where(notes.c.fingerprint == fingerprint))
                return
            insert = insert_into(connection, notes)
            changed = {name: insert.excluded[name] for name in ("text", "who", "at")}
            connection.execute(insert.on_conflict_do_update(index_elements=["fingerprint"], set_=changed), row)

        self._database.run(work)
