"""What was counted, by time: the console's charts come from here, with no Prometheus.

Each count goes into the minute and the quarter of an hour in which its job ended, in the transaction that counts it. Minutes are
kept for a day, quarters for eight.

Danger: every writer locks these rows last, in the order of their key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, bindparam, delete, select, tuple_, update

from redrive.deployments.dead_letters.ledger.count_tables import count_history
from redrive.deployments.dead_letters.ledger.finishes import LAST, Sums
from redrive.deployments.dead_letters.ledger.tallies import insert_into

MINUTE: Final = 60
QUARTER: Final = 900
#: How long counts of each step are kept.
KEPT: Final = {MINUTE: timedelta(hours=26), QUARTER: timedelta(days=8)}

_Place = tuple[int, datetime, str, str]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What was counted from `at` on, for one step: by metric and label."""

    at: datetime
    queue: str
    job: str
    counts: Mapping[str, Mapping[str, float]]


def begin_of(at: datetime, step: int) -> datetime:
    """Where the step begins that a time lies in."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % step, UTC)


def write(connection: Connection, parts: Mapping[datetime, Sums], now: datetime) -> None:
    """Add what was counted of each minute."""
    added: dict[_Place, dict[str, float]] = {}
    for at, sums in parts.items():
        for step, kept in KEPT.items():
            if at < now - kept:
                continue
            for (metric, queue, job, label), amount in sums.amounts():
                if metric != LAST:
                    counts = added.setdefault((step, begin_of(at, step), queue, job), {})
                    counts[f"{metric}|{label}"] = counts.get(f"{metric}|{label}", 0) + amount
    if not added:
        return
    places = sorted(added)
    columns = ("step", "at", "queue", "job")
    blank = insert_into(connection, count_history).on_conflict_do_nothing(index_elements=list(columns))
    connection.execute(blank, [{**dict(zip(columns, place, strict=True)), "counts": {}} for place in places])
    key = tuple_(*(count_history.c[name] for name in columns))
    locked = select(count_history).where(key.in_(places)).order_by(*(count_history.c[name] for name in columns))
    changed = []
    for row in connection.execute(locked.with_for_update()):
        counts = dict(row.counts)
        for name, amount in added[row.step, row.at, row.queue, row.job].items():
            counts[name] = counts.get(name, 0) + amount
        changed.append({"s": row.step, "a": row.at, "q": row.queue, "j": row.job, "c": counts})
    mine = and_(*(count_history.c[name] == bindparam(name[0]) for name in columns))
    connection.execute(update(count_history).where(mine).values(counts=bindparam("c")), changed)


def read(
    connection: Connection, *, step: int, since: datetime, job: str | None = None, queue: str | None = None
) -> list[Counted]:
    """What was counted since then, the oldest first."""
    query = select(count_history).where(count_history.c.step == step, count_history.c.at >= since)
    if job is not None:
        query = query.where(count_history.c.job == job)
    if queue is not None:
        query = query.where(count_history.c.queue == queue)
    return [
        Counted(at=row.at, queue=row.queue, job=row.job, counts=_nested(row.counts))
        for row in connection.execute(query.order_by(count_history.c.at))
    ]


def forget(connection: Connection, now: datetime) -> None:
    """Forget what is older than each step is kept."""
    for step, kept in KEPT.items():
        connection.execute(delete(count_history).where(count_history.c.step == step, count_history.c.at < now - kept))


def by_minute() -> tuple[dict[datetime, Sums], Callable[[datetime], Sums]]:
    """Sums of each minute, and what gives those of the minute a time lies in."""
    parts: dict[datetime, Sums] = {}

    def of(at: datetime) -> Sums:
        return parts.setdefault(begin_of(at, MINUTE), Sums())

    return parts, of


def _nested(flat: Mapping[str, float]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, amount in flat.items():
        metric, _, label = name.partition("|")
        found.setdefault(metric, {})[label] = amount
    return found
