"""How far each sweep has come: small texts by name."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from redrive.deployments.dead_letters.ledger.tables import cursors
from redrive.deployments.dead_letters.ledger.tallies import insert_into


def read_cursor(connection: Connection, name: str) -> str | None:
    return connection.scalar(select(cursors.c.value).where(cursors.c.name == name))


def write_cursor(connection: Connection, name: str, value: str) -> None:
    insert = insert_into(connection, cursors).values(name=name, value=value, updated=datetime.now(UTC))
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name"], set_={"value": insert.excluded.value, "updated": insert.excluded.updated}
        )
    )
