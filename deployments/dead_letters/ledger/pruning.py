"""Pruning: closed dead letters do not stay for ever; open and redriven ones do.

Danger: Prefect may still know a run whose row is gone, so its state stays known: a sweep must not record it again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, select, update

from redrive.deployments.dead_letters.ledger.count_tables import count_progress
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.tables import acts, collected_states, dead_letters
from redrive.deployments.dead_letters.ledger.tallies import subtract, summed, sweep_empty

#: Rows per transaction.
CHUNK: Final = 500

#: How long the ids of pruned deaths stay known: longer than anybody keeps finished runs in Prefect.
STATES_KEPT: Final = timedelta(days=400)

_CLOSED: Final = ("resolved", "discarded")


def prune(database: Database, before: datetime) -> int:
    """Delete rows closed before that time, with their acts; returns how many."""
    done = 0
    while changed := database.run(lambda connection: _prune(connection, before)):
        done += changed
    database.run(sweep_empty)
    database.run(_forget)
    return done


def _prune(connection: Connection, before: datetime) -> int:
    which = (
        select(dead_letters)
        .where(dead_letters.c.closed_at < before, dead_letters.c.status.in_(_CLOSED))
        .order_by(dead_letters.c.closed_at)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(which).all()
    if not rows:
        return 0
    ids = [row.id for row in rows]
    # Every death of these rows, not only the last one.
    states = select(acts.c.state_id).where(acts.c.dead_letter_id.in_(ids), acts.c.state_id.is_not(None))
    connection.execute(
        update(collected_states).where(collected_states.c.state_id.in_(states)).values(pruned=datetime.now(UTC))
    )
    connection.execute(delete(acts).where(acts.c.dead_letter_id.in_(ids)))
    connection.execute(delete(count_progress).where(count_progress.c.run_id.in_([row.run_id for row in rows])))
    connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(ids)))
    with summed(connection) as sums:
        subtract(rows, sums)
    return len(rows)


def _forget(connection: Connection) -> None:
    connection.execute(delete(collected_states).where(collected_states.c.pruned < datetime.now(UTC) - STATES_KEPT))
    # The sums of bulk acts have no row to go with.
    connection.execute(delete(acts).where(acts.c.dead_letter_id.is_(None), acts.c.at < datetime.now(UTC) - STATES_KEPT))
