"""Connections to Prefect's database, made as Prefect makes its own, and used without SQLAlchemy on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from prefect.server.database import provide_database_interface

#: Connections at most; beside them Prefect has a pool of its own.
CONNECTIONS = 4


class Database:
    """A small pool. Raises `asyncpg.PostgresError` and `OSError` when the database is unavailable."""

    def __init__(self) -> None:
        self._dialect: str | None = None
        self._free: list[asyncpg.Connection] = []
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def why_not(self) -> str | None:
        """Why this database cannot be used; None if it can. Asked once it is known, as an engine needs a running loop."""
        if self._dialect is None:
            self._dialect = provide_database_interface().dialect.name
        return (
            None
            if self._dialect == "postgresql"
            else f"Prefect's database is {self._dialect}, the fast calls need PostgreSQL"
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._places:
            connection = await self._connect()
            try:
                yield connection
            finally:
                if connection.is_closed() or connection.is_in_transaction():
                    connection.terminate()
                else:
                    self._free.append(connection)

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Rows of one statement, which is a transaction of its own."""
        async with self.connection() as connection:
            found: list[asyncpg.Record] = await connection.fetch(query, *values)
            return found

    async def _connect(self) -> asyncpg.Connection:
        while self._free:
            free = self._free.pop()
            if not free.is_closed():
                return free
        engine = await provide_database_interface().engine()
        pooled = await engine.raw_connection()
        connection: asyncpg.Connection = pooled.driver_connection
        # It is ours from here on, and counts no more among those of Prefect's pool.
        pooled.detach()
        for kind in ("json", "jsonb"):
            # As text both ways, not as SQLAlchemy has it.
            await connection.reset_type_codec(kind, schema="pg_catalog")
        return connection
