"""Bringing rows into a table of a real PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from redrive.blocks.errors import PermanentError
from redrive.blocks.warehouse import Warehouse, WarehouseUnreachable
from redrive.flows.sync_source.source import opened
from redrive.flows.sync_table.merge import Merged, merge
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
) -> Merged:
    path = folder / "stock.csv"
    path.write_text(csv)
    with opened(str(path)) as source, warehouse.connect() as connection:
        return merge(connection, source, table=table, key=key, cursor=cursor)


def table(warehouse: Warehouse, query: str) -> list[tuple[object, ...]]:
    with warehouse.connect(read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_rows_are_inserted_then_updated_or_left_alone(warehouse: Warehouse, tmp_path: Path):
    first = synced(warehouse, tmp_path, "id,name,price\n1,a,2.5\n2,b,\n")
    second = synced(warehouse, tmp_path, "id,name,price\n1,a,2.5\n2,b,4\n3,c,5\n")
    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    assert (second.inserted, second.updated, second.unchanged) == (1, 1, 1)
    assert table(warehouse, "select * from stock order by id") == [(1, "a", 2.5), (2, "b", 4.0), (3, "c", 5.0)]


def test_equal_rows_are_not_even_rewritten(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,name\n1,a\n2,\n")
    before = table(warehouse, "select id, xmin::text, ctid::text from stock order by id")
    synced(warehouse, tmp_path, "id,name\n1,a\n2,\n")
    assert table(warehouse, "select id, xmin::text, ctid::text from stock order by id") == before


def test_table_grows_with_its_source(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,name\n1,a\n")
    grown = synced(warehouse, tmp_path, "id,name,since\n1,a,2020-01-01\n")
    assert grown.columns_added == ("since",)
    assert grown.updated == 1
    shrunk = synced(warehouse, tmp_path, "id,name\n1,b\n")
    assert shrunk.updated == 1
    assert table(warehouse, "select name, since::text from stock") == [("b", "2020-01-01")]


def test_cursor_leaves_out_rows_below_the_highest_value(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,at\n1,2020-01-01\n2,2020-01-02\n", cursor="at")
    later = synced(warehouse, tmp_path, "id,at\n1,2020-01-01\n2,2020-01-02\n3,2020-01-02\n4,2020-01-03\n", cursor="at")
    assert (later.read, later.inserted, later.unchanged, later.cursor) == (3, 2, 1, "2020-01-03")


@pytest.mark.parametrize(
    ("csv", "key", "said"),
    [
        ("id,name\n1,a\n1,b\n", ("id",), r"does not identify one row of stock\.csv: 1 \(2 times\)"),
        ("id,name\n,a\n2,b\n", ("id",), "1 rows of stock.csv have no value in the key"),
        ("id,name\n1,a\n", ("nr",), "has no column 'nr' for the key; it has id, name"),
        ("id,name\n1,a\n", (), "a sync needs a key"),
    ],
)
def test_key_that_does_not_work_is_named_and_nothing_is_written(
    warehouse: Warehouse, tmp_path: Path, csv: str, key: tuple[str, ...], said: str
):
    with pytest.raises(PermanentError, match=said):
        synced(warehouse, tmp_path, csv, key=key)
    assert table(warehouse, "select to_regclass('stock')") == [(None,)]


def test_type_that_no_longer_fits_is_named_with_its_value(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,count\n1,5\n")
    with pytest.raises(
        PermanentError, match=r"column 'count' of stock\.csv holds '5\.5', but the table has it as bigint"
    ):
        synced(warehouse, tmp_path, "id,count\n1,6\n2,5.5\n")
    assert table(warehouse, "select count from stock") == [(5,)]


def test_value_the_database_refuses_is_a_permanent_error(warehouse: Warehouse, tmp_path: Path):
    with pytest.raises(PermanentError, match="date/time field value out of range"):
        synced(warehouse, tmp_path, "id,day\n1,2021-02-30\n")


def test_table_with_another_key_is_refused(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,name\n1,a\n")
    with pytest.raises(PermanentError, match=r"no unique index over \(name\)"):
        synced(warehouse, tmp_path, "id,name\n1,a\n", key=("name",))


def test_names_from_strangers_stay_names(warehouse: Warehouse, tmp_path: Path):
    hostile = 'x"; drop table stock; --'
    synced(warehouse, tmp_path, "id\n1\n")
    synced(
        warehouse, tmp_path, f'id,"{hostile.replace(chr(34), chr(34) * 2)}"\n1,2\n', table='odd"; drop table stock; --'
    )
    assert table(warehouse, "select count(*) from stock") == [(1,)]


def test_schema_that_is_not_there_is_named(warehouse: Warehouse, tmp_path: Path):
    with pytest.raises(PermanentError, match='schema "sales" does not exist'):
        synced(warehouse, tmp_path, "id\n1\n", table="sales.stock")


def test_check_says_what_answered(warehouse: Warehouse):
    assert re.fullmatch(r"the warehouse answers: database \S+ on PostgreSQL 18\S*, as postgres", warehouse.check())


def test_warehouse_that_is_away_may_be_tried_again(tmp_path: Path):
    away = Warehouse(url=SecretStr(f"postgresql://me:hidden@/none?host={tmp_path}"))
    with pytest.raises(WarehouseUnreachable, match="cannot be reached") as error:
        away.check()
    assert "hidden" not in str(error.value)


def test_database_that_does_not_exist_is_a_permanent_error(postgres_server: PostgresServer):  # noqa: F811  (the fixture)
    url = f"postgresql://postgres@/nowhere?host={postgres_server.folder}"
    with pytest.raises(PermanentError, match='database "nowhere" does not exist'):
        Warehouse(url=SecretStr(url)).check()
