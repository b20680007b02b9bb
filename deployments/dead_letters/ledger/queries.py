"""Reading the ledger: pages of rows, single rows, their history, and counts.

Danger: nothing here may get slower as the ledger grows; whatever is not answered from an index in order or from the sums
must have a limit.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, and_, exists, func, literal, or_, select, text, tuple_

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.blocks.core.nearest import nearest
from redrive.deployments.dead_letters.ledger.filters import Filter
from redrive.deployments.dead_letters.ledger.rows import DeadLetter, HistoryEntry, RowsPage, Total
from redrive.deployments.dead_letters.ledger.tables import acts, dead_letters, tallies

PAGE_LIMIT: Final = 1_000

#: A shorter prefix of an id would soon be ambiguous, and it is what the lists show.
ID_PREFIX: Final = 8

#: An id that is not found is compared with this many of the newest ones.
_NEAREST_AMONG: Final = 200

_UUID_DIGITS: Final = 32


def find(
    connection: Connection, asked: Filter, *, limit: int, cursor: str | None, oldest_first: bool
) -> RowsPage[DeadLetter]:
    return _page(connection, asked.rows(connection), limit=limit, cursor=cursor, oldest_first=oldest_first)


def redriven(connection: Connection, *, limit: int, cursor: str | None) -> RowsPage[DeadLetter]:
    """Redriven rows whose outcome is still to come; a replacement that died has a row of its own which waits instead."""
    replacement = dead_letters.alias()
    died = exists(select(literal(1)).where(replacement.c.run_id == dead_letters.c.replaced_by_run_id))
    which = and_(dead_letters.c.status == "redriven", ~died)
    return _page(connection, which, limit=limit, cursor=cursor, oldest_first=True)


def _page(
    connection: Connection, which: Any, *, limit: int, cursor: str | None, oldest_first: bool
) -> RowsPage[DeadLetter]:
    if not 1 <= limit <= PAGE_LIMIT:
        raise ParameterError(f"limit={limit}: a page has 1 to {PAGE_LIMIT} rows")
    place = tuple_(dead_letters.c.last_failure, dead_letters.c.id)
    query = select(dead_letters).where(which)
    if cursor is not None:
        at = tuple_(
            *(
                literal(value, column.type)
                for value, column in zip(_read(cursor), (dead_letters.c.last_failure, dead_letters.c.id), strict=True)
            )
        )
        query = query.where(place > at if oldest_first else place < at)
    order = (dead_letters.c.last_failure, dead_letters.c.id)
    query = query.order_by(*(order if oldest_first else (column.desc() for column in order))).limit(limit + 1)
    rows = [DeadLetter(**row._asdict()) for row in connection.execute(query)]
    more = len(rows) > limit
    rows = rows[:limit]
    return RowsPage(rows=tuple(rows), next=_cursor(rows[-1]) if more else None)


def _cursor(row: DeadLetter) -> str:
    place = json.dumps([row.last_failure.isoformat(), row.id.hex])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at), UUID(row_id)
    except (ValueError, TypeError, AttributeError):
        raise ParameterError(f"{cursor!r} is no page of this list; begin without one") from None


def count(connection: Connection, asked: Filter) -> int:
    if asked.needs_rows:
        return connection.scalar(select(func.count()).select_from(dead_letters).where(asked.rows(connection))) or 0
    return connection.scalar(select(func.sum(tallies.c.count)).where(asked.sums(connection, tallies))) or 0


def totals(connection: Connection) -> list[Total]:
    key = [tallies.c[name] for name in ("status", "queue", "job", "reason")]
    summed = func.sum(tallies.c.count).label("count")
    query = select(*key, summed).group_by(*key).having(summed > 0).order_by(*key)
    return [Total(**row._asdict()) for row in connection.execute(query)]


def oldest_open(connection: Connection) -> dict[tuple[str, str], datetime]:
    kinds = (
        select(tallies.c.queue, tallies.c.job)
        .where(tallies.c.status == "open", tallies.c.count > 0)
        .distinct()
        .subquery("kinds")
    )
    # One step into an index for each kind, instead of a MIN over all open rows. The status is written out, because an index
    # over the open rows only is no use to a plan that must hold for any status.
    oldest = (
        select(dead_letters.c.last_failure)
        .where(
            dead_letters.c.queue == kinds.c.queue,
            dead_letters.c.job == kinds.c.job,
            dead_letters.c.status == text("'open'"),
        )
        .order_by(dead_letters.c.last_failure, dead_letters.c.id)
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(select(kinds.c.queue, kinds.c.job, oldest.label("oldest")))
    return {(row.queue, row.job): row.oldest for row in found if row.oldest is not None}


def newest_open(connection: Connection) -> datetime | None:
    newest: datetime | None = connection.scalar(
        select(func.max(dead_letters.c.buried_at)).where(dead_letters.c.status == "open")
    )
    return newest


def history(connection: Connection, row_id: UUID) -> list[HistoryEntry]:
    query = select(acts).where(acts.c.dead_letter_id == row_id).order_by(acts.c.id)
    return [HistoryEntry(**row._asdict()) for row in connection.execute(query)]


def batches(connection: Connection, *, limit: int) -> list[HistoryEntry]:
    query = select(acts).where(acts.c.dead_letter_id.is_(None)).order_by(acts.c.id.desc())
    return [HistoryEntry(**row._asdict()) for row in connection.execute(query.limit(limit))]


def of_run(connection: Connection, run_id: UUID) -> DeadLetter | None:
    row = connection.execute(select(dead_letters).where(dead_letters.c.run_id == run_id)).one_or_none()
    return None if row is None else DeadLetter(**row._asdict())


def get(connection: Connection, which: UUID | str) -> DeadLetter:
    digits = (which.hex if isinstance(which, UUID) else which).replace("-", "").strip().lower()
    if set(digits) - set("0123456789abcdef") or len(digits) > _UUID_DIGITS or not digits:
        raise NotFound(f"{which!r} is no id of a dead letter or run; `redrive dead list` shows them")
    if len(digits) < ID_PREFIX:
        raise ParameterError(f"{which!r} is too short: give at least {ID_PREFIX} digits of the id")
    first, last = UUID(digits.ljust(_UUID_DIGITS, "0")), UUID(digits.ljust(_UUID_DIGITS, "f"))
    matches = [column.between(first, last) for column in (dead_letters.c.id, dead_letters.c.run_id)]
    found = connection.execute(select(dead_letters).where(or_(*matches)).limit(ID_PREFIX)).all()
    if not found:
        raise NotFound(f"no dead letter {which}{_advice(connection, digits)}")
    if len(found) > 1:
        ids = ", ".join(str(row.id) for row in found)
        raise Conflict(f"{which} fits more than one dead letter: {ids}; give more digits")
    return DeadLetter(**found[0]._asdict())


def _advice(connection: Connection, digits: str) -> str:
    query = select(dead_letters.c.id, dead_letters.c.run_id).order_by(
        dead_letters.c.last_failure.desc(), dead_letters.c.id.desc()
    )
    known: Sequence[Any] = connection.execute(query.limit(_NEAREST_AMONG)).all()
    if not known:
        return "; the ledger is empty"
    by_start = {str(one)[:ID_PREFIX]: str(one) for row in known for one in (row.run_id, row.id)}
    near = nearest(digits[:ID_PREFIX], by_start, alike=0.7)
    return f"; did you mean {by_start[near]}?" if near else f"; the newest is {known[0].id}"


def unsettled(connection: Connection, run_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the runs that an open or redriven row still needs, as its own run or as its replacement."""
    needed = dead_letters.c.status.in_(("open", "redriven"))
    own = select(dead_letters.c.run_id).where(dead_letters.c.run_id.in_(run_ids), needed)
    replacing = select(dead_letters.c.replaced_by_run_id).where(dead_letters.c.replaced_by_run_id.in_(run_ids), needed)
    return set(connection.execute(own).scalars()) | set(connection.execute(replacing).scalars())
