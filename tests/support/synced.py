"""CSV files synced into a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from redrive.blocks.warehouse import Warehouse
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.column_format import ColumnFormat
from redrive.flows.sync.table.merge import Merged, merge
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> Warehouse:  # noqa: F811  (the fixture)
    return Warehouse(url=SecretStr(postgres_server.database()))


def synced(
    warehouse: Warehouse,
    folder: Path,
    csv: str,
    *,
    table: str = "stock",
    key: tuple[str, ...] = ("id",),
    cursor: str | None = None,
    name: str = "stock.csv",
    formats: dict[str, dict[str, Any]] | None = None,
) -> Merged:
    path = folder / name
    path.write_text(csv)
    declared = {column: ColumnFormat.model_validate(form) for column, form in (formats or {}).items()}
    with opened(str(path)) as source, warehouse.connect() as connection:
        return merge(connection, source, table=table, key=key, cursor=cursor, formats=declared)


def table(warehouse: Warehouse, query: str) -> list[tuple[object, ...]]:
    with warehouse.connect(read_only=True) as connection:
        return connection.execute(query).fetchall()
