"""What a sync refuses, named with its value, and nothing is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.warehouse import Warehouse, WarehouseUnreachable
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)
from tests.support.synced import synced, table


@pytest.mark.parametrize(
    ("kind", "fits", "rounded"),
    [
        ("numeric(10,2)", "12.50", "12.505"),
        ("timestamp(0)", "2020-01-01 10:00:00", "2020-01-01 10:00:00.7"),
        ("timestamptz(3)", "2020-01-01 10:00:00.123Z", "2020-01-01 10:00:00.1234Z"),
    ],
)
def test_value_that_the_table_would_round_is_refused(
    warehouse: Warehouse, tmp_path: Path, kind: str, fits: str, rounded: str
):
    with warehouse.connect() as connection:
        connection.execute(f"create table stock (id bigint primary key, value {kind})")  # type: ignore[arg-type]
    assert synced(warehouse, tmp_path, f"id,value\n1,{fits}\n").inserted == 1
    with pytest.raises(PermanentError, match=f"holds '{re.escape(rounded)}', which the table would round"):
        synced(warehouse, tmp_path, f"id,value\n1,{fits}\n2,{rounded}\n")
    assert table(warehouse, "select count(*) from stock") == [(1,)]


@pytest.mark.parametrize(
    ("csv", "key", "said"),
    [
        ("id,name\n1,a\n1,b\n", ("id",), r"does not identify one row of stock\.csv: 1 \(2 times\)"),
        ("id,name\n,a\n2,b\n", ("id",), "1 row of stock.csv has no value in the key"),
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


def test_schema_that_is_not_there_is_named(warehouse: Warehouse, tmp_path: Path):
    with pytest.raises(PermanentError, match='schema "sales" does not exist'):
        synced(warehouse, tmp_path, "id\n1\n", table="sales.stock")


def test_warehouse_that_is_unavailable_may_be_tried_again(tmp_path: Path):
    away = Warehouse(url=SecretStr(f"postgresql://me:hidden@/none?host={tmp_path}"))
    with pytest.raises(WarehouseUnreachable, match="cannot be reached") as error:
        away.check()
    assert "hidden" not in str(error.value)


def test_database_that_does_not_exist_is_a_permanent_error(postgres_server: PostgresServer):  # noqa: F811  (the fixture)
    url = f"postgresql://postgres@/nowhere?host={postgres_server.folder}"
    with pytest.raises(PermanentError, match='database "nowhere" does not exist'):
        Warehouse(url=SecretStr(url)).check()


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("id,name\n1,a,x\n", "line 2 has 3 values for 2 columns"),
        (f"id,{','.join(f'c{i}' for i in range(1600))}\n", "1,601 columns, and a table of PostgreSQL takes 1,600"),
        (f"id,{','.join(f'c{i}' for i in range(1590))}\n1,{','.join(['x' * 40] * 1590)}\n", "cannot take"),
    ],
)
def test_what_no_table_can_take_is_permanent(warehouse: Warehouse, tmp_path: Path, csv: str, said: str):
    with pytest.raises(PermanentError, match=said):
        synced(warehouse, tmp_path, csv)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.csv", "id,ctid\n1,x\n", 'column name "ctid" conflicts with a system column'),
        ("s.csv", "id,name\n1,a\x00b\n", "holds what is no text"),
        ("s.json", '[{"id": 1, "name": "a\\u0000b"}]', "holds what is no text"),
    ],
)
def test_what_postgresql_cannot_hold_is_permanent_and_never_left_out(
    warehouse: Warehouse, tmp_path: Path, name: str, content: str, said: str
):
    with pytest.raises(PermanentError, match=said):
        synced(warehouse, tmp_path, content, name=name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 64, "longer than 63 bytes"),
        ("ä" * 32, "longer than 63 bytes"),
        ("pg_catalog.stock", "belongs to PostgreSQL itself"),
        ("information_schema.stock", "belongs to PostgreSQL itself"),
        ("pg_temp.stock", "belongs to PostgreSQL itself"),
    ],
)
def test_name_that_postgresql_would_cut_or_keep_for_itself_is_refused(
    warehouse: Warehouse, tmp_path: Path, name: str, said: str
):
    with pytest.raises(PermanentError, match=said):
        synced(warehouse, tmp_path, "id\n1\n", table=name)
