"""The sums over the dead letters, kept with every change, so that counting and grouping never read the rows.

Danger: rows are locked before sums and sums in the order of their keys, always; another order can deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from redrive.deployments.dead_letters.ledger.quarters import (
    QuarterKey,
    forget_old,
    place_of,
    quarters,
    recount_quarters,
    rows_of,
)
from redrive.deployments.dead_letters.ledger.tables import STATUSES, AnyRow, dead_letters, groups, tallies
from redrive.deployments.dead_letters.ledger.text import SAMPLE_LIMIT

KEY: Final = ("fingerprint", "error_type", "reason", "job", "queue", "status")


class _Sample(NamedTuple):
    """The newest death of a group."""

    last_seen: datetime
    first_seen: datetime
    sample_id: UUID
    error_type: str
    message: str


class Tallies:
    """Collects what one transaction changes and writes it at its end, in `apply`."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._quarters: Counter[QuarterKey] = Counter()
        self._samples: dict[str, _Sample] = {}
        self._left: dict[str, set[UUID]] = {}

    def added(self, row: AnyRow) -> None:
        """A row as it is now, after an insert or a change."""
        self._counts[_key(row)] += 1
        self._quarters[place_of(row)] += 1

    def removed(self, row: AnyRow) -> None:
        """A row as it was, before a change or a deletion."""
        self._counts[_key(row)] -= 1
        self._quarters[place_of(row)] -= 1

    def moved(self, row: AnyRow, *, status_before: str) -> None:
        """A row that changed nothing but its status."""
        self._counts[_key(row)] += 1
        self._counts[(*_key(row)[:-1], status_before)] -= 1
        self._quarters[place_of(row)] += 1
        self._quarters[place_of(row, status_before)] -= 1

    def died(self, row: AnyRow) -> None:
        """A row of a new death: its group's newest, unless a later one is known."""
        seen = self._samples.get(row.fingerprint)
        first = min(row.first_failure, seen.first_seen) if seen else row.first_failure
        if seen and seen.last_seen > row.last_failure:
            self._samples[row.fingerprint] = seen._replace(first_seen=first)
        else:
            self._samples[row.fingerprint] = _Sample(
                row.last_failure, first, row.id, row.error_type, row.message[:SAMPLE_LIMIT]
            )

    def left(self, fingerprint: str, row_id: UUID) -> None:
        """A row that is no longer of this group: it must not stay its sample."""
        self._left.setdefault(fingerprint, set()).add(row_id)

    def apply(self, connection: Connection) -> None:
        changed = {key: count for key, count in sorted(self._counts.items()) if count}
        if changed:
            counts = [{**dict(zip(KEY, key, strict=True)), "count": count} for key, count in changed.items()]
            insert = insert_into(connection, tallies)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=list(KEY), set_={"count": tallies.c.count + insert.excluded.count}
                ),
                counts,
            )
        by_group: dict[str, Counter[str]] = {}
        for key, count in changed.items():
            by_group.setdefault(key[0], Counter())[key[-1]] += count
        for fingerprint in sorted({*by_group, *self._samples, *self._left}):
            self._apply_group(connection, fingerprint, by_group.get(fingerprint, Counter()))
        if added := rows_of(self._quarters.items()):
            insert = insert_into(connection, quarters)
            grown = {"count": quarters.c.count + insert.excluded.count}
            connection.execute(insert.on_conflict_do_update(index_elements=list(QuarterKey._fields), set_=grown), added)

    def _apply_group(self, connection: Connection, fingerprint: str, counts: Counter[str]) -> None:
        grown = {status: groups.c[status] + counts[status] for status in STATUSES if counts[status]}
        if sample := self._samples.get(fingerprint):
            insert = insert_into(connection, groups).values(
                fingerprint=fingerprint, **{status: counts[status] for status in STATUSES}, **sample._asdict()
            )
            newer = insert.excluded.last_seen >= groups.c.last_seen
            latest = {
                name: case((newer, insert.excluded[name]), else_=groups.c[name])
                for name in ("last_seen", "sample_id", "error_type", "message")
            }
            first = case(
                (insert.excluded.first_seen < groups.c.first_seen, insert.excluded.first_seen),
                else_=groups.c.first_seen,
            )
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["fingerprint"], set_={**grown, **latest, "first_seen": first}
                )
            )
        elif grown:
            connection.execute(update(groups).where(groups.c.fingerprint == fingerprint).values(**grown))
        if gone := self._left.get(fingerprint):
            _replace_sample(connection, fingerprint, gone)


def _replace_sample(connection: Connection, fingerprint: str, gone: set[UUID]) -> None:
    """Another sample for a group that lost its own; without rows there is no group."""
    # Locks the group even if its sample stays, so that nobody adds a row to a group that is about to be deleted.
    group = connection.execute(
        select(groups).where(groups.c.fingerprint == fingerprint).with_for_update()
    ).one_or_none()
    if group is None or group.sample_id not in gone:
        return
    newest = connection.execute(
        select(dead_letters)
        .where(dead_letters.c.fingerprint == fingerprint)
        .order_by(dead_letters.c.last_failure.desc(), dead_letters.c.id.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None:
        connection.execute(
            update(groups)
            .where(groups.c.fingerprint == fingerprint)
            .values(sample_id=newest.id, error_type=newest.error_type, message=newest.message[:SAMPLE_LIMIT])
        )
    elif not any(getattr(group, status) for status in STATUSES):
        # A row that another transaction is just adding is not visible yet; its upsert waits for our lock and makes the group anew.
        connection.execute(delete(groups).where(groups.c.fingerprint == fingerprint))


def sweep_empty(connection: Connection) -> None:
    """Delete tallies that came down to 0, and old quarters; those that another transaction is just counting up are left alone."""
    forget_old(connection)
    empty = select(*(tallies.c[name] for name in KEY)).where(tallies.c.count == 0).with_for_update(skip_locked=True)
    if found := [row._asdict() for row in connection.execute(empty)]:
        match = [tallies.c[name] == bindparam(f"its_{name}") for name in KEY]
        connection.execute(
            delete(tallies).where(*match), [{f"its_{name}": value for name, value in row.items()} for row in found]
        )


@contextmanager
def summed(connection: Connection) -> Iterator[Tallies]:
    """Collects changes and writes them when the block ends well: after all locks on rows, so that nobody deadlocks."""
    sums = Tallies()
    yield sums
    sums.apply(connection)


def recount(connection: Connection) -> int:
    """Make the sums anew from the rows; returns how many groups there are. Everybody else waits meanwhile."""
    # Same order as everywhere: rows before tallies before groups.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE dead_letters IN SHARE ROW EXCLUSIVE MODE")
        connection.exec_driver_sql(
            "LOCK TABLE dead_letter_tallies, dead_letter_groups, dead_letter_quarters IN EXCLUSIVE MODE"
        )
    connection.execute(delete(tallies))
    connection.execute(delete(groups))
    recount_quarters(connection)
    key = [dead_letters.c[name] for name in KEY]
    connection.execute(tallies.insert().from_select([*KEY, "count"], select(*key, func.count()).group_by(*key)))
    newest = func.row_number().over(
        partition_by=dead_letters.c.fingerprint,
        order_by=(dead_letters.c.last_failure.desc(), dead_letters.c.id.desc()),
    )
    ranked = select(
        dead_letters.c.fingerprint,
        dead_letters.c.id,
        dead_letters.c.error_type,
        dead_letters.c.message,
        newest.label("rank"),
    ).subquery()
    summed = (
        select(
            dead_letters.c.fingerprint,
            *(func.sum(case((dead_letters.c.status == status, 1), else_=0)).label(status) for status in STATUSES),
            func.min(dead_letters.c.first_failure).label("first_seen"),
            func.max(dead_letters.c.last_failure).label("last_seen"),
        )
        .group_by(dead_letters.c.fingerprint)
        .subquery()
    )
    made = connection.execute(
        groups.insert().from_select(
            [column.name for column in groups.c],
            select(summed, ranked.c.id, ranked.c.error_type, func.substr(ranked.c.message, 1, SAMPLE_LIMIT)).join(
                ranked, (ranked.c.fingerprint == summed.c.fingerprint) & (ranked.c.rank == 1)
            ),
        )
    )
    return made.rowcount


def subtract(rows: Iterable[AnyRow], into: Tallies) -> None:
    for row in rows:
        into.removed(row)
        into.left(row.fingerprint, row.id)


def _key(row: AnyRow) -> tuple[str, ...]:
    return tuple(getattr(row, name) for name in KEY)


def insert_into(connection: Connection, table: Any) -> Any:
    # The two dialects' `insert` have no common base with `on_conflict_do_update`, hence Any.
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
