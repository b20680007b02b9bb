"""Acts on many dead letters at once, in chunks, stoppable between two of them.

Danger: rows arrive while a bulk act runs; it takes only what was there when it began.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from redrive.deployments.dead_letters.ledger.acts import WHY_LIMIT, close_replaced, record
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.filters import Filter
from redrive.deployments.dead_letters.ledger.tables import acts, dead_letters
from redrive.deployments.dead_letters.ledger.tallies import summed
from redrive.deployments.dead_letters.ledger.text import storable

#: Rows per transaction: others wait for one at most this long, and a stop is obeyed this soon.
CHUNK: Final = 500


def discard_all(
    database: Database,
    asked: Filter,
    *,
    who: str,
    why: str,
    batch: UUID,
    at_most: int | None,
    progress: Callable[[int], bool],
) -> int:
    """Discard open rows; `progress` gets the number done after each chunk and says whether to go on. A batch that was cut off
    goes on; returns how many it discarded in all.
    """
    began, done, total = datetime.now(UTC), 0, 0
    asked = asked.model_copy(update={"status": "open"})
    try:
        while at_most is None or done < at_most:
            size = CHUNK if at_most is None else min(CHUNK, at_most - done)
            changed = database.run(
                partial(_discard, asked=asked, who=who, why=why, batch=batch, size=size, began=began)
            )
            done += changed
            if changed < size or not progress(done):
                break
    finally:
        # Also after an error or a Ctrl-C: what was done was done.
        total = database.run(partial(batch_count, batch=batch))
        if total:
            database.run(partial(record_batch, what="discarded", who=who, why=why, batch=batch, count=total))
    return total


def record_batch(connection: Connection, what: str, *, who: str, why: str, batch: UUID, count: int) -> None:
    """Write the sum of a bulk act, or write it anew: one that was cut off and goes on has one sum."""
    detail = storable(why, limit=WHY_LIMIT)
    values: dict[str, Any] = {"who": who, "why": detail, "at": datetime.now(UTC), "count": count}
    ours = (acts.c.batch_id == batch, acts.c.dead_letter_id.is_(None), acts.c.what == what)
    if connection.execute(update(acts).where(*ours).values(**values)).rowcount == 0:
        record(connection, [{"batch_id": batch, "what": what, **values}])


def batch_count(connection: Connection, batch: UUID) -> int:
    """How many dead letters a bulk act changed and did not have to give back."""
    signs = {"redriven": 1, "discarded": 1, "unclaimed": -1}
    ours = (acts.c.batch_id == batch, acts.c.dead_letter_id.is_not(None), acts.c.what.in_(signs))
    query = select(acts.c.what, func.count()).where(*ours).group_by(acts.c.what)
    return sum(signs[what] * number for what, number in connection.execute(query))


def _discard(
    connection: Connection, asked: Filter, *, who: str, why: str, batch: UUID, size: int, began: datetime
) -> int:
    now, detail = datetime.now(UTC), storable(why, limit=WHY_LIMIT)
    which = select(dead_letters.c.id).where(asked.rows(connection), dead_letters.c.buried_at <= began)
    # The order of the lists, which has indexes; the locks are then taken in the order everybody takes them.
    oldest = which.order_by(dead_letters.c.last_failure, dead_letters.c.id).limit(size).subquery()
    locked = select(dead_letters.c.id).where(dead_letters.c.id.in_(select(oldest)), dead_letters.c.status == "open")
    ids = connection.scalars(locked.order_by(dead_letters.c.run_id).with_for_update()).all()
    if not ids:
        return 0
    values: dict[str, Any] = {"closed_at": now, "closed_by": who, "closed_why": detail, "batch_id": batch}
    rows = connection.execute(
        update(dead_letters)
        .where(dead_letters.c.id.in_(ids))
        .values(status="discarded", **values)
        .returning(dead_letters)
    ).all()
    act = {"what": "discarded", "who": who, "why": detail, "at": now, "batch_id": batch}
    record(connection, [{**act, "dead_letter_id": row.id, "state_id": row.dead_state_id} for row in rows])
    with summed(connection) as sums:
        for row in rows:
            sums.moved(row, status_before="open")
            if row.replaces_run_id is not None:
                close_replaced(connection, sums, row.run_id, status="discarded", who=who, why=why)
    return len(rows)
