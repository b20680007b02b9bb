"""Grouping: the dead letters by cause.

Danger: a filter with times or text cannot use the sums; it looks at the newest `ROWS_LIMIT` rows that fit, and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, Subquery, case, func, select, text, true

from redrive.deployments.dead_letters.ledger.filters import Filter, says
from redrive.deployments.dead_letters.ledger.rows import Group
from redrive.deployments.dead_letters.ledger.tables import DIMENSIONS, STATUSES, AnyRow, dead_letters, groups, tallies

#: Rows that a grouping by time or text looks at, newest first. A text that every fourth message has makes it read four times
#: as many, and with these that takes clearly less than twice what it takes in a ledger of 1,000 rows.
ROWS_LIMIT: Final = 500

#: The newest rows in which a text is looked for first: what many messages say stands there already, and else the index on messages
#: finds it sooner.
LATELY: Final = 5_000

GROUPS_LIMIT: Final = 1_000

Parts = dict[str, list[AnyRow]]

_NEWEST_FIRST: Final = (dead_letters.c.last_failure.desc(), dead_letters.c.id.desc())


def find_groups(connection: Connection, asked: Filter, *, limit: int) -> list[Group]:
    """Groups with most open rows first, then the most recent."""
    limit = min(limit, GROUPS_LIMIT)
    if asked.needs_rows:
        return _from_rows(connection, asked, limit=limit)
    if all(getattr(asked, name) is None for name in DIMENSIONS):
        query = select(groups)
        if asked.status is not None:
            query = query.where(groups.c[asked.status] > 0)
    else:
        query = _of_tallies(connection, asked)
    rows = connection.execute(
        query.order_by(groups.c.open.desc(), groups.c.last_seen.desc(), groups.c.fingerprint).limit(limit)
    ).all()
    return _described(connection, asked, rows)


def count_newest(connection: Connection, asked: Filter, *, among: int) -> tuple[int, bool]:
    """How many fit of the newest rows that do so but for the text, and whether there are no others."""
    without = asked.model_copy(update={"text": None}).rows(connection)
    newest = select(dead_letters.c.message).where(without).order_by(*_NEWEST_FIRST).limit(among).subquery()
    fits = says(connection, newest.c.message, asked.text) if asked.text else true()
    _plan(connection, in_order=True)
    row = connection.execute(
        select(func.coalesce(func.sum(case((fits, 1), else_=0)), 0), func.count()).select_from(newest)
    ).one()
    _plan(connection, in_order=False)
    return int(row[0]), int(row[1]) < among


def _of_tallies(connection: Connection, asked: Filter) -> Select[Any]:
    fitting = select(tallies.c.fingerprint).where(asked.sums(connection, tallies), tallies.c.count > 0).distinct()
    return select(groups).where(groups.c.fingerprint.in_(fitting))


def _described(connection: Connection, asked: Filter, rows: Sequence[AnyRow]) -> list[Group]:
    """The groups with what their tallies that fit the filter add up to."""
    if not rows:
        return []
    query = select(
        tallies.c.fingerprint, tallies.c.job, tallies.c.queue, tallies.c.status, tallies.c.count.label("number")
    ).where(
        tallies.c.fingerprint.in_([row.fingerprint for row in rows]),
        tallies.c.count > 0,
        asked.sums(connection, tallies),
    )
    parts: dict[str, list[AnyRow]] = {}
    for part in connection.execute(query):
        parts.setdefault(part.fingerprint, []).append(part)
    described = []
    for row in rows:
        of_group = parts.get(row.fingerprint, [])
        by_status = dict.fromkeys(STATUSES, 0)
        for part in of_group:
            by_status[part.status] += part.number
        described.append(
            Group(
                fingerprint=row.fingerprint,
                error_type=row.error_type,
                message=row.message,
                sample_id=row.sample_id,
                count=sum(by_status.values()),
                by_status=by_status,
                jobs=tuple(sorted({part.job for part in of_group})),
                queues=tuple(sorted({part.queue for part in of_group})),
                first_seen=row.first_seen,
                last_seen=row.last_seen,
            )
        )
    return described


def _from_rows(connection: Connection, asked: Filter, *, limit: int) -> list[Group]:
    columns = [
        dead_letters.c[name] for name in ("fingerprint", "job", "queue", "status", "first_failure", "last_failure")
    ]
    parts = _lately(connection, asked, columns) or _parts(connection, _newest(connection, asked, columns))
    samples = {
        row.fingerprint: row for row in connection.execute(select(groups).where(groups.c.fingerprint.in_(list(parts))))
    }
    examined = _examined(parts)
    found = []
    for fingerprint, of_group in parts.items():
        sample = samples.get(fingerprint)
        if sample is None:
            # Pruned between the two statements.
            continue
        by_status = {status: sum(getattr(part, status) for part in of_group) for status in STATUSES}
        found.append(
            Group(
                fingerprint=fingerprint,
                error_type=sample.error_type,
                message=sample.message,
                sample_id=sample.sample_id,
                count=sum(by_status.values()),
                by_status=by_status,
                jobs=tuple(sorted({part.job for part in of_group})),
                queues=tuple(sorted({part.queue for part in of_group})),
                first_seen=min(part.first for part in of_group),
                last_seen=max(part.last for part in of_group),
                partial=examined >= ROWS_LIMIT,
            )
        )
    found.sort(key=lambda group: (-group.open, -group.last_seen.timestamp(), group.fingerprint))
    return found[:limit]


def _newest(connection: Connection, asked: Filter, columns: Sequence[Column[Any]]) -> Subquery:
    """The newest rows that fit."""
    return select(*columns).where(asked.rows(connection)).order_by(*_NEWEST_FIRST).limit(ROWS_LIMIT).subquery()


def _lately(connection: Connection, asked: Filter, columns: Sequence[Column[Any]]) -> Parts | None:
    """The parts of a text's newest rows, if the newest rows of all have it often enough: they are read once, in order."""
    if asked.text is None or connection.dialect.name != "postgresql":
        return None
    without = asked.model_copy(update={"text": None}).rows(connection)
    lately = select(*columns, dead_letters.c.message).where(without).order_by(*_NEWEST_FIRST).limit(LATELY).subquery()
    message = says(connection, lately.c.message, asked.text)
    _plan(connection, in_order=True)
    parts = _parts(
        connection, select(*(lately.c[one.name] for one in columns)).where(message).limit(ROWS_LIMIT).subquery()
    )
    _plan(connection, in_order=False)
    return parts if _examined(parts) == ROWS_LIMIT else None


def _parts(connection: Connection, found: Subquery) -> Parts:
    """What these rows add up to by job type and queue, by fingerprint."""
    key = [found.c.fingerprint, found.c.job, found.c.queue]
    counts = [func.sum(case((found.c.status == status, 1), else_=0)).label(status) for status in STATUSES]
    query = select(
        *key, *counts, func.min(found.c.first_failure).label("first"), func.max(found.c.last_failure).label("last")
    ).group_by(*key)
    parts: Parts = {}
    for part in connection.execute(query):
        parts.setdefault(part.fingerprint, []).append(part)
    return parts


def _examined(parts: Parts) -> int:
    return sum(getattr(part, status) for of_group in parts.values() for part in of_group for status in STATUSES)


def _plan(connection: Connection, *, in_order: bool) -> None:
    """Whether rows are read in the order of an index at any cost: without statistics the planner would sort all that fit."""
    if connection.dialect.name == "postgresql":
        wanted = "off" if in_order else "on"
        connection.execute(
            text(f"SET LOCAL enable_sort = {wanted}; SET LOCAL enable_bitmapscan = {wanted}; SET LOCAL jit = off")
        )
