"""Our indexes on Prefect's tables: made once, beside what runs, and again if they were left half made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import psycopg
import pytest

from redrive.infra.server.indexes import INDEXES, make_indexes
from tests.support.job_stack import JobStack
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

#: As much of Prefect's table as they stand on.
TABLE = """
CREATE TYPE state_type AS ENUM ('SCHEDULED', 'RUNNING');
CREATE TABLE flow_run (work_queue_id uuid, next_scheduled_start_time timestamptz, state_type state_type);
CREATE INDEX ix_flow_run__next_scheduled_start_time_asc ON flow_run (next_scheduled_start_time);
CREATE INDEX ix_flow_run__work_queue_id ON flow_run (work_queue_id)
"""
#: Much in one queue, a little in the other, all due.
WAITING = """
INSERT INTO flow_run
SELECT md5((n % 20 = 0)::text)::uuid, now() - n * interval '1 second', 'SCHEDULED' FROM generate_series(1, 100000) n
"""
#: The part of Prefect's poll that looks for the runs of one queue.
POLL = """
EXPLAIN SELECT * FROM flow_run WHERE work_queue_id = md5('true')::uuid AND state_type = 'SCHEDULED'
AND next_scheduled_start_time <= now() ORDER BY next_scheduled_start_time LIMIT 10
"""


def with_table(server: PostgresServer, act: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    """What `act` says, on a database of its own that has the table."""
    url = server.database().replace("postgresql+psycopg://", "postgresql://", 1)

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(TABLE)
            return await act(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_index_is_made_once_and_again_if_it_was_left_half_made(postgres_server: PostgresServer) -> None:
    async def act(connection: asyncpg.Connection) -> list[list[str]]:
        made = [await make_indexes(connection), await make_indexes(connection)]
        await connection.execute("UPDATE pg_index SET indisvalid = false WHERE indrelid = 'flow_run'::regclass")
        return [*made, await make_indexes(connection)]

    assert with_table(postgres_server, act) == [list(INDEXES), [], list(INDEXES)]


def test_poll_of_a_queue_does_not_read_what_waits_in_another(postgres_server: PostgresServer) -> None:
    async def act(connection: asyncpg.Connection) -> str:
        await make_indexes(connection)
        await connection.execute(WAITING)
        await connection.execute("ANALYZE flow_run")
        return " ".join(row[0] for row in await connection.fetch(POLL))

    assert "ix_redrive_flow_run__due" in with_table(postgres_server, act)


def test_server_of_a_stack_has_them(job_stack: JobStack) -> None:
    url = job_stack.settings.prefect_database_url().replace("+asyncpg", "", 1)
    valid = "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = ANY(%s::regclass[])"

    with psycopg.connect(url) as connection:
        wait_until(lambda: connection.execute(valid, (list(INDEXES),)).fetchone() == (len(INDEXES),), 60, "the indexes")
