"""Bringing rows into a table of a real PostgreSQL."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.warehouse import Warehouse
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.merge import merge
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)
from tests.support.synced import synced, table


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


def test_names_from_strangers_stay_names(warehouse: Warehouse, tmp_path: Path):
    hostile = 'x"; drop table stock; --'
    synced(warehouse, tmp_path, "id\n1\n")
    synced(
        warehouse, tmp_path, f'id,"{hostile.replace(chr(34), chr(34) * 2)}"\n1,2\n', table='odd"; drop table stock; --'
    )
    assert table(warehouse, "select count(*) from stock") == [(1,)]


def test_check_says_what_answered(warehouse: Warehouse):
    assert re.fullmatch(r"the warehouse answers: database \S+ on PostgreSQL 18\S*, as postgres", warehouse.check())


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
