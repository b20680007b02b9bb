"""Indexes of ours on Prefect's tables, without which what waits slows down what does not.

Prefect asks for the next runs of each queue in the order in which they are due. With its own indexes PostgreSQL reads all that is
due in any queue, and drops what is in another: 100,000 jobs in a queue that is paused cost each poll of the others a quarter of a
second. Prefect's migrations know nothing of these indexes, and none of them is needed for an answer to be right.
"""

from __future__ import annotations

import logging
from typing import Final

import asyncpg

log = logging.getLogger("prefect.server.redrive")

INDEXES: Final = {
    "ix_redrive_flow_run__due": "flow_run (work_queue_id, next_scheduled_start_time) WHERE state_type = 'SCHEDULED'",
}
#: Seconds that one may take: it is made beside everything else, and waits for transactions that are open.
PATIENCE: Final = 3600.0
#: One server makes them. Any number will do that no other program locks.
_LOCK: Final = 0x72656472697665
_STATE: Final = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"


async def make_indexes(connection: asyncpg.Connection) -> list[str]:
    """Make those that are missing or were left half made; their names. Another server that is at it is left alone.

    Raises:
        asyncpg.PostgresError: the role may not, or the tables are not there.
        OSError: the database is away.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        return []
    made = []
    try:
        for name, what in INDEXES.items():
            valid = await connection.fetchval(_STATE, name)
            if valid:
                continue
            if valid is False:
                # Somebody stopped the server in the middle of it.
                await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", timeout=PATIENCE)
            await connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {what}", timeout=PATIENCE)
            made.append(name)
    finally:
        await connection.fetchval("SELECT pg_advisory_unlock($1)", _LOCK)
    if made:
        log.info("made %s", ", ".join(made))
    return made
