"""How many rows failed last in each quarter of an hour of the last day, by cause, error, queue and status: what trends and matrix show.

Danger: sums as the tallies are, changed in the same transactions. Rows that failed before the day are not among them any more, and
what a keeper of a version before recorded never was, so that a sum may come below 0 for a day after an update.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, delete, insert, select

from redrive.deployments.dead_letters.ledger.tables import AnyRow, UtcDateTime, dead_letters, metadata

#: Seconds of a quarter of an hour.
QUARTER: Final = 900
#: How long they are kept: a day is shown, which begins with a quarter.
KEPT: Final = timedelta(hours=26)

quarters = Table(
    "dead_letter_quarters",
    metadata,
    Column("at", UtcDateTime, primary_key=True),
    Column("fingerprint", String(12), primary_key=True),
    Column("error_type", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("count", Integer, nullable=False),
    Index("ix_dead_letter_quarters_cause", "fingerprint", "at"),
)


class QuarterKey(NamedTuple):
    """One sum of these."""

    at: datetime
    fingerprint: str
    error_type: str
    queue: str
    status: str


def quarter_of(at: datetime) -> datetime:
    """Where the quarter of an hour begins that a time lies in."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % QUARTER, UTC)


def place_of(row: AnyRow, status: str | None = None) -> QuarterKey:
    """The sum that a row is counted in, or was while it had another status."""
    return QuarterKey(quarter_of(row.last_failure), row.fingerprint, row.error_type, row.queue, status or row.status)


def oldest() -> datetime:
    """The first that is kept now."""
    return quarter_of(datetime.now(UTC) - KEPT)


def rows_of(changed: Iterable[tuple[QuarterKey, int]]) -> list[dict[str, Any]]:
    """What is to be added, without what is not kept, in the order of their keys."""
    first = oldest()
    return [{**place._asdict(), "count": count} for place, count in sorted(changed) if count and place.at >= first]


def forget_old(connection: Connection) -> None:
    connection.execute(delete(quarters).where(quarters.c.at < oldest()))


def recount_quarters(connection: Connection) -> None:
    """Make them anew from the rows."""
    connection.execute(delete(quarters))
    columns = [dead_letters.c[name] for name in ("last_failure", "fingerprint", "error_type", "queue", "status")]
    found: dict[QuarterKey, int] = {}
    for row in connection.execute(select(*columns).where(dead_letters.c.last_failure >= oldest())):
        place = place_of(row)
        found[place] = found.get(place, 0) + 1
    if added := rows_of(found.items()):
        connection.execute(insert(quarters), added)
