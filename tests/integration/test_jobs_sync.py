"""Bringing rows into a table of a real PostgreSQL."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.warehouse import Warehouse, WarehouseUnreachable
from redrive.flows.sync import flow as syncing
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.column_format import ColumnFormat
from redrive.flows.sync.table.merge import Merged, merge
from tests.support.http_source import Page, serving
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


def test_cursor_of_texts_leaves_out_nothing_and_says_so(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,revision\n1,r8\n2,r9\n", cursor="revision")
    later = synced(warehouse, tmp_path, "id,revision\n1,r8\n2,r9\n3,r10\n", cursor="revision")
    assert (later.read, later.inserted) == (3, 1)
    assert "column 'revision' leaves no row out" in later.warnings[0]


def test_rows_with_too_few_values_are_a_warning(warehouse: Warehouse, tmp_path: Path):
    """As the last one of a file that was cut off."""
    cut = synced(warehouse, tmp_path, "id,name,price\n1,apple,2\n2,pear,3\n3,plu")
    assert cut.inserted == 3
    assert cut.warnings[0].startswith("1 row of stock.csv has fewer values than columns, the first in line 4")
    assert not synced(warehouse, tmp_path, "id,name,price\n1,apple,2\n2,,\n").warnings


def test_column_of_marks_is_missing_values_in_a_table_of_numbers(warehouse: Warehouse, tmp_path: Path):
    synced(warehouse, tmp_path, "id,price\n1,2.5\n")
    assert synced(warehouse, tmp_path, "id,price\n1,NA\n2,+5\n").updated == 1
    assert table(warehouse, "select * from stock order by id") == [(1, None), (2, 5)]


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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", "id,amount\n1,1234567890123456.78\n2,0.10\n3,0.10\n"),
        ("d.json", '[{"id": 1, "amount": 1234567890123456.78}, {"id": 2, "amount": 0.10}, {"id": 3, "amount": 0.10}]'),
        (
            "d.ndjson",
            '{"id": 1, "amount": 1234567890123456.78}\n{"id": 2, "amount": 0.10}\n{"id": 3, "amount": 0.10}\n',
        ),
    ],
)
def test_decimals_arrive_digit_for_digit(warehouse: Warehouse, tmp_path: Path, name: str, content: str):
    synced(warehouse, tmp_path, content, name=name)
    found = [str(amount) for (amount,) in table(warehouse, "select amount from stock order by id")]
    assert found == ["1234567890123456.78", "0.10", "0.10"]
    assert table(warehouse, "select pg_typeof(amount)::text from stock limit 1") == [("numeric",)]


def test_table_of_an_older_sync_keeps_its_double_precision(warehouse: Warehouse, tmp_path: Path):
    with warehouse.connect() as connection:
        connection.execute("create table stock (id bigint primary key, price double precision)")
    synced(warehouse, tmp_path, "id,price\n1,2.5\n")
    assert table(warehouse, "select price, pg_typeof(price)::text from stock") == [(2.5, "double precision")]


def test_declared_formats_are_read_as_they_are_meant(warehouse: Warehouse, tmp_path: Path):
    formats = {
        "price": {"type": "numeric", "decimal": ",", "thousands": "."},
        "day": {"type": "date", "order": "dmy"},
        "paid": {"type": "boolean", "true": ["ja"], "false": ["nein"]},
        "code": {"type": "text"},
    }
    synced(warehouse, tmp_path, "id;price;day;paid;code\n1;1.234,50;3.2.2021;Ja;1\n2;-;NA;nein;NA\n", formats=formats)
    assert table(warehouse, "select price, day, paid, code from stock order by id") == [
        (Decimal("1234.50"), date(2021, 2, 3), True, "1"),
        (None, None, False, "NA"),
    ]
    with pytest.raises(PermanentError, match="column 'day' holds '2021-02-03' in line 2"):
        synced(warehouse, tmp_path, "id;price;day;paid;code\n3;1;2021-02-03;ja;1\n", formats=formats)


def test_column_that_fell_back_to_text_is_a_warning(warehouse: Warehouse, tmp_path: Path):
    done = synced(warehouse, tmp_path, "id,count,name\n1,5,a\n2,6,b\n3,seven,c\n")
    assert done.warnings == (
        (
            "column 'count' became text: line 4 holds 'seven', and the values before are bigint; declare its format in the "
            "parameter columns if it is meant as one"
        ),
    )


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


def test_empty_texts_missing_values_and_bytes_of_sqlite_stay_apart(warehouse: Warehouse, tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("create table data (id integer, text text, bytes blob, n)")
        database.executemany(
            "insert into data values (?, ?, ?, ?)",
            [(1, "", b"\x00\xff", 0.1), (2, None, None, 2**62), (3, 'a "b",\n\\N', b"", None)],
        )
        database.commit()
    with opened(str(tmp_path / "s.db"), source_table="data") as source, warehouse.connect() as connection:
        merge(connection, source, table="stock", key=["id"])
    assert table(warehouse, "select text, bytes, n from stock order by id") == [
        ("", "\\x00ff", Decimal("0.1")),
        (None, None, Decimal(2**62)),
        ('a "b",\n\\N', "\\x", None),
    ]


# The job's own step, with a cursor


@pytest.fixture
def transferred(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(syncing, "saved", lambda *_: warehouse)

    def run(source: object, **options: Any) -> Any:
        return syncing.transfer.fn(str(source), "stock", ["id"], **options)

    return run


def test_unchanged_file_is_not_read_again_but_a_changed_table_is_filled(
    warehouse: Warehouse, tmp_path: Path, transferred: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "stock.csv"
    path.write_text("id,at\n1,2020-01-01\n2,2020-01-02\n")
    transferred(path, cursor="at")
    merged: list[object] = []
    plain = syncing.merge
    monkeypatch.setattr(syncing, "merge", lambda *args, **options: merged.append(1) or plain(*args, **options))

    again = transferred(path, cursor="at")
    assert (merged, again.read, again.unchanged, again.cursor) == ([], 1, 1, "2020-01-02")

    with warehouse.connect() as connection:
        connection.execute("delete from stock")
    assert transferred(path, cursor="at").inserted == 2
    path.write_text("id,at\n1,2020-01-01\n2,2020-01-02\n3,2020-01-03\n")
    assert transferred(path, cursor="at").inserted == 1
    # Without a cursor every row is compared, whatever is known.
    with warehouse.connect() as connection:
        connection.execute("update stock set at = '2020-01-09' where id = 1")
    assert transferred(path).updated == 1


def test_server_is_asked_only_whether_anything_changed(transferred: Callable[..., Any]):
    asked: list[str | None] = []

    def answer(_path: str, headers: Any) -> Page:
        asked.append(headers.get("If-None-Match"))
        same = headers.get("If-None-Match") == '"v1"'
        fields = {"ETag": '"v1"', "Content-Type": "text/csv"}
        return Page(status=304, headers=fields) if same else Page(b"id,at\n1,2020-01-01\n", headers=fields)

    with serving(answer) as url:
        first = transferred(f"{url}/data?token=hidden", cursor="at")
        second = transferred(f"{url}/data?token=hidden", cursor="at")
    assert asked == [None, '"v1"']
    assert (first.inserted, second.read, second.unchanged) == (1, 1, 1)
    assert "hidden" not in first.model_dump_json() + second.model_dump_json()


@pytest.mark.parametrize(
    ("kind", "values", "later"),
    [
        ("integer", [1, 5, 9], 9),
        (
            "text",
            ["2020-01-01T10:00:00+05:00", "2020-01-01T11:00:00+00:00", "2020-01-05T00:00:00Z"],
            "2020-01-04T20:00:00-08:00",
        ),
        ("datetime", ["2020-01-01", "2020-01-02", "2020-01-03"], "2020/01/03"),
        ("real", [0.5, 1.25, 2.75], 2.75),
    ],
)
def test_cursor_in_sqlite_leaves_out_only_what_lies_below(
    tmp_path: Path, transferred: Callable[..., Any], kind: str, values: list[object], later: object
):
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute(f"create table data (id integer primary key, at {kind})")
        database.executemany("insert into data values (?, ?)", list(enumerate(values)))
        database.commit()
        transferred(tmp_path / "s.db", source_table="data", cursor="at")
        database.execute("insert into data values (10, ?)", [later])
        database.execute("insert into data values (11, null)")
        database.commit()
        done = transferred(tmp_path / "s.db", source_table="data", cursor="at")
    assert (done.read, done.inserted) == (3, 2)


_SYNC_IN_A_PROCESS = """
import sys, psycopg
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.merge import merge
print("begins", flush=True)
with opened(sys.argv[1]) as source, psycopg.connect(sys.argv[2]) as connection:
    merge(connection, source, table="stock", key=["id"])
"""


@pytest.mark.parametrize("seed", [7, *(pytest.param(n, marks=pytest.mark.soak) for n in range(100, 124))])
def test_kill_at_a_random_point_leaves_all_rows_or_none(
    warehouse: Warehouse, tmp_path: Path, transferred: Callable[..., Any], seed: int
):
    path = tmp_path / "stock.csv"
    url = warehouse.url.get_secret_value().replace("+psycopg", "")
    draw = random.Random(seed)
    for version in range(3):
        path.write_text("id,version\n" + "".join(f"{i},{version}\n" for i in range(60_000)))
        child = subprocess.Popen(
            [sys.executable, "-c", _SYNC_IN_A_PROCESS, path, url], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout
        child.stdout.readline()
        try:
            child.wait(draw.uniform(0.02, 0.6))
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        with psycopg.connect(url) as connection:
            if connection.execute("select to_regclass('stock')").fetchone() != (None,):
                counted = connection.execute("select count(*), count(distinct version) from stock").fetchone()
                assert counted == (60_000, 1)
    transferred(path)
    assert transferred(path).unchanged == 60_000
    assert table(warehouse, "select count(*), min(version), max(version) from stock") == [(60_000, 2, 2)]
