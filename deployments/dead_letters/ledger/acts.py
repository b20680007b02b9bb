"""What people and the keeper do to dead letters: redrive, discard, resolve; each recorded with who, when and why.

Danger: two people act at once. Each act is one conditional update; who comes second is told who was first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, and_, insert, select, update

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.deployments.dead_letters.ledger.rows import DeadLetter
from redrive.deployments.dead_letters.ledger.tables import AnyRow, acts, dead_letters
from redrive.deployments.dead_letters.ledger.tallies import Tallies, summed
from redrive.deployments.dead_letters.ledger.text import storable

#: Characters of a reason; it is a sentence of a person.
WHY_LIMIT: Final = 4_000


def record(connection: Connection, done: Sequence[Mapping[str, Any]]) -> None:
    """Write acts into the history."""
    if done:
        blank = {"dead_letter_id": None, "batch_id": None, "why": "", "count": 1, "state_id": None}
        connection.execute(insert(acts), [{**blank, **act} for act in done])


def claim_for_redrive(connection: Connection, row_id: UUID, *, who: str, why: str, batch: UUID | None) -> DeadLetter:
    now = datetime.now(UTC)
    detail = storable(why, limit=WHY_LIMIT)
    row = _change(
        connection,
        and_(dead_letters.c.id == row_id, dead_letters.c.status == "open"),
        status="redriven",
        redriven_at=now,
        redriven_by=who,
        redriven_why=detail,
        redrives=dead_letters.c.redrives + 1,
        batch_id=batch,
    )
    if row is None:
        raise refused(connection, row_id, "redriven")
    with summed(connection) as sums:
        return _done(connection, sums, row, "open", what="redriven", who=who, why=detail, at=now)


def unclaim(connection: Connection, row_id: UUID, *, who: str, why: str) -> DeadLetter:
    detail = storable(why, limit=WHY_LIMIT)
    # A claim that led to a run which is known must stay: that run may be working.
    waiting = and_(dead_letters.c.status == "redriven", dead_letters.c.replaced_by_run_id.is_(None))
    row = _change(
        connection, and_(dead_letters.c.id == row_id, waiting), status="open", redrives=dead_letters.c.redrives - 1
    )
    if row is None:
        raise refused(connection, row_id, "given back")
    with summed(connection) as sums:
        return _done(connection, sums, row, "redriven", what="unclaimed", who=who, why=detail, at=datetime.now(UTC))


def link_replacement(connection: Connection, run_id: UUID, replaced_by: UUID) -> DeadLetter:
    row = _change(
        connection,
        and_(dead_letters.c.run_id == run_id, dead_letters.c.status == "redriven"),
        replaced_by_run_id=replaced_by,
    )
    if row is None:
        found = connection.execute(select(dead_letters).where(dead_letters.c.run_id == run_id)).one_or_none()
        if found is None:
            raise NotFound(f"no dead letter of run {run_id}")
        raise refused(connection, found.id, "linked to a new run")
    # The new run may have died, and been collected, before this link was made.
    connection.execute(
        update(dead_letters)
        .where(dead_letters.c.run_id == replaced_by, dead_letters.c.replaces_run_id.is_(None))
        .values(replaces_run_id=run_id)
    )
    why = f"replaced by run {replaced_by}"
    with summed(connection) as sums:
        return _done(
            connection, sums, row, "redriven", what="linked", who=row.redriven_by, why=why, at=datetime.now(UTC)
        )


def discard(
    connection: Connection,
    row_id: UUID,
    *,
    who: str,
    why: str,
    batch: UUID | None,
    also_redriven: bool,
) -> DeadLetter:
    before = ("open", "redriven") if also_redriven else ("open",)
    with summed(connection) as sums:
        found = close(
            connection, sums, dead_letters.c.id == row_id, before, status="discarded", who=who, why=why, batch=batch
        )
        if not found:
            raise refused(connection, row_id, "discarded")
        close_replaced(connection, sums, found[0].run_id, status="discarded", who=who, why=why)
    return found[0]


def resolve(connection: Connection, run_id: UUID, *, who: str, why: str) -> list[DeadLetter]:
    """Close the row of a run that completed, and of every run it replaced."""
    which = dead_letters.c.run_id == run_id
    with summed(connection) as sums:
        own = close(connection, sums, which, ("open", "redriven"), status="resolved", who=who, why=why)
        return own + close_replaced(connection, sums, run_id, status="resolved", who=who, why=why)


def reopen(connection: Connection, row_id: UUID, *, who: str, why: str) -> DeadLetter:
    detail = storable(why, limit=WHY_LIMIT)
    before = connection.execute(select(dead_letters).where(dead_letters.c.id == row_id).with_for_update()).one_or_none()
    row = None
    if before is not None:
        closed = and_(dead_letters.c.id == row_id, dead_letters.c.status != "open")
        row = _change(
            connection, closed, status="open", closed_at=None, closed_by=None, closed_why=None, replaced_by_run_id=None
        )
    if before is None or row is None:
        raise refused(connection, row_id, "reopened")
    with summed(connection) as sums:
        return _done(connection, sums, row, before.status, what="reopened", who=who, why=detail, at=datetime.now(UTC))


def close_replaced(
    connection: Connection, sums: Tallies, run_id: UUID, *, status: str, who: str, why: str
) -> list[DeadLetter]:
    """The outcome of a run is that of the runs it was made to replace."""
    closed: list[DeadLetter] = []
    outcomes = [run_id]
    while outcomes:
        run = outcomes.pop()
        which = dead_letters.c.replaced_by_run_id == run
        found = close(connection, sums, which, ("redriven",), status=status, who=who, why=why)
        closed += found
        outcomes += [row.run_id for row in found]
    return closed


def close(
    connection: Connection,
    sums: Tallies,
    which: Any,
    before: tuple[str, ...],
    *,
    status: str,
    who: str,
    why: str,
    batch: UUID | None = None,
) -> list[DeadLetter]:
    """Resolve or discard every row that `which` finds in one of the statuses `before`."""
    now = datetime.now(UTC)
    detail = storable(why, limit=WHY_LIMIT)
    # Locked first, because an UPDATE does not return what was there before.
    query = select(dead_letters.c.id, dead_letters.c.status).where(which, dead_letters.c.status.in_(before))
    closed = []
    for found in connection.execute(query.order_by(dead_letters.c.run_id).with_for_update()).all():
        values: dict[str, Any] = {"status": status, "closed_at": now, "closed_by": who, "closed_why": detail}
        if batch is not None:
            values["batch_id"] = batch
        row = _change(connection, dead_letters.c.id == found.id, **values)
        if row is not None:
            closed.append(_done(connection, sums, row, found.status, what=status, who=who, why=detail, at=now))
    return closed


def _change(connection: Connection, which: Any, **values: Any) -> AnyRow | None:
    return connection.execute(update(dead_letters).where(which).values(**values).returning(dead_letters)).one_or_none()


def _done(
    connection: Connection,
    sums: Tallies,
    row: AnyRow,
    status_before: str,
    *,
    what: str,
    who: str,
    why: str,
    at: datetime,
) -> DeadLetter:
    act = {"dead_letter_id": row.id, "what": what, "who": who, "why": why, "at": at, "state_id": row.dead_state_id}
    record(connection, [{**act, "batch_id": row.batch_id if what in {"redriven", "unclaimed", "discarded"} else None}])
    if row.status != status_before:
        sums.moved(row, status_before=status_before)
    return DeadLetter(**row._asdict())


def refused(connection: Connection, row_id: UUID, wanted: str) -> Conflict | NotFound:
    """Why a row could not be changed: it is gone, or somebody was first."""
    row = connection.execute(select(dead_letters).where(dead_letters.c.id == row_id)).one_or_none()
    if row is None:
        return NotFound(f"no dead letter {row_id}: it was pruned or never was; `redrive dead list` shows what there is")
    by, at = (row.redriven_by, row.redriven_at) if row.status == "redriven" else (row.closed_by, row.closed_at)
    detail = f"dead letter {row_id} cannot be {wanted}: it is {row.status}"
    if by and row.status != "open":
        detail += f" by {by} at {at:%Y-%m-%d %H:%M:%SZ}"
    if row.status == "redriven" and row.replaced_by_run_id:
        detail += f", as run {row.replaced_by_run_id}"
    return Conflict(detail, status=row.status, by=by, at=at)
