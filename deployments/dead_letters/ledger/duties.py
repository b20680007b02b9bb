"""The keeper's duties: when each last succeeded, and what its audit found; so that others see a keeper that stands still.

Times and ages are the database's own: two hosts' clocks are never compared.

Danger: a duty without a row has no age, and no alert. So rows are removed only where a newer keeper has taken over the duty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Text, and_, cast, delete, func, or_, select

from redrive.blocks.core.masking import mask_text
from redrive.deployments.dead_letters.ledger.cursors import read_cursor, write_cursor
from redrive.deployments.dead_letters.ledger.tables import AnyRow, cursors, keeper_duties
from redrive.deployments.dead_letters.ledger.tallies import insert_into
from redrive.deployments.dead_letters.ledger.text import storable

#: How long the row of a keeper that is gone is kept beside the row of another one that does the same duty.
KEPT: Final = timedelta(days=1)
#: Characters of an error that are kept.
ERROR_LIMIT: Final = 1_000

#: A duty is late when its last success is older than this, or than so many of its rounds, whichever is more: a round may
#: wait for a slow server, and times are recorded every few seconds only.
LATE: Final = timedelta(seconds=60)
LATE_ROUNDS: Final = 3

#: Names under which the audit's results are kept beside the cursors.
_FOUND: Final = "audit.found"
_UNCOLLECTED: Final = "audit.uncollected"


@dataclass(frozen=True, kw_only=True)
class DutyRecord:
    """One duty of one keeper, as last seen: what is recorded.

    `succeeded` and `failed` are seconds ago, None if that did not happen since the last record; `seconds` is how long the
    successful round took.
    """

    duty: str
    every: float
    succeeded: float | None = None
    seconds: float | None = None
    failed: float | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class DutyState:
    """One duty over all keepers: `age` is seconds since any of them last did it (or first meant to), by the database's clock.

    `error` is what the keeper that failed last said, None if a success came after it.
    """

    duty: str
    age: float
    every: float
    keeper: str
    last_success: datetime | None
    last_failure: datetime | None
    error: str | None
    seconds: float | None

    @property
    def limit(self) -> float:
        """The age in seconds from which it counts as late."""
        return max(LATE.total_seconds(), LATE_ROUNDS * self.every)

    @property
    def is_late(self) -> bool:
        return self.age > self.limit


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the audit found: `found` in all, `uncollected` failures that are still not in the ledger."""

    found: int = 0
    uncollected: int = 0


def begin(connection: Connection, keeper: str, every: Mapping[str, float]) -> None:
    """A keeper starts with these duties (name → seconds between rounds): from now on they have an age.

    What no keeper has done or tried for a day and this one does not know is no duty any more.
    """
    record(connection, keeper, [DutyRecord(duty=duty, every=seconds) for duty, seconds in every.items()])
    retired = keeper_duties.c.duty.not_in(list(every))
    connection.execute(delete(keeper_duties).where(retired, _untouched_since(_now(connection) - KEPT)))


def record(connection: Connection, keeper: str, done: Iterable[DutyRecord]) -> None:
    """Write what a keeper did since its last record."""
    now = _now(connection)
    for one in sorted(done, key=lambda one: one.duty):
        changed: dict[str, Any] = {"every": one.every}
        if one.succeeded is not None:
            changed |= {"last_success": now - timedelta(seconds=one.succeeded), "seconds": one.seconds}
        if one.failed is not None:
            error = storable(one.error or "", limit=ERROR_LIMIT)
            changed |= {"last_failure": now - timedelta(seconds=one.failed), "error": error}
        insert = insert_into(connection, keeper_duties).values(keeper=keeper, duty=one.duty, since=now, **changed)
        connection.execute(insert.on_conflict_do_update(index_elements=["keeper", "duty"], set_=changed))


def forget_others(connection: Connection, keeper: str, duties: Sequence[str]) -> None:
    """Remove the rows of keepers that are gone, for duties that this keeper has just done itself."""
    others = keeper_duties.c.keeper != keeper
    old = _untouched_since(_now(connection) - KEPT)
    connection.execute(delete(keeper_duties).where(keeper_duties.c.duty.in_(list(duties)), others, old))


def duties(connection: Connection) -> list[DutyState]:
    """Every duty by name, over all keepers."""
    now = _now(connection)
    rows: dict[str, list[AnyRow]] = {}
    for row in connection.execute(select(keeper_duties).order_by(keeper_duties.c.duty, keeper_duties.c.keeper)):
        rows.setdefault(row.duty, []).append(row)
    return [_over_all_keepers(duty, of_duty, now) for duty, of_duty in rows.items()]


def count_audit(connection: Connection, *, found: int, uncollected: int) -> None:
    """An audit is over: it found so many failures that the tail had missed, and so many are still not in the ledger."""
    # Added by the database: two audits at once would each add to what they had read.
    insert = insert_into(connection, cursors).values(name=_FOUND, value=str(found), updated=datetime.now(UTC))
    total = cast(cast(cursors.c.value, BigInteger) + found, Text)
    changed = {"value": total, "updated": insert.excluded.updated}
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changed))
    write_cursor(connection, _UNCOLLECTED, str(uncollected))


def audit(connection: Connection) -> Audit:
    """What audits found up to now."""
    return Audit(
        found=int(read_cursor(connection, _FOUND) or 0), uncollected=int(read_cursor(connection, _UNCOLLECTED) or 0)
    )


def _over_all_keepers(duty: str, rows: Sequence[AnyRow], now: datetime) -> DutyState:
    done = [row for row in rows if row.last_success is not None]
    # Without any success the first keeper that meant to do it is the measure.
    row = max(done, key=lambda row: row.last_success) if done else min(rows, key=lambda row: row.since)
    failed = max((row for row in rows if row.last_failure), key=lambda row: row.last_failure, default=None)
    since = row.last_success or row.since
    is_failing = failed is not None and failed.last_failure >= since
    return DutyState(
        duty=duty,
        age=max(0.0, (now - since).total_seconds()),
        every=row.every,
        keeper=row.keeper,
        last_success=row.last_success,
        last_failure=failed.last_failure if failed else None,
        error=mask_text(failed.error) if failed and is_failing else None,
        seconds=row.seconds,
    )


def _untouched_since(moment: datetime) -> Any:
    touched = (keeper_duties.c.last_success, keeper_duties.c.last_failure)
    return and_(keeper_duties.c.since < moment, *(or_(column.is_(None), column < moment) for column in touched))


def _now(connection: Connection) -> datetime:
    """The database's clock; SQLite has none of its own."""
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)
