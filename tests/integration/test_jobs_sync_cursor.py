"""The step that transfers: a cursor, a source that did not change, and a kill at any point."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from redrive.blocks.warehouse import Warehouse
from redrive.flows.sync import flow as syncing
from tests.support.http_source import Reply, serving
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)
from tests.support.synced import table


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

    def answer(_path: str, headers: Any) -> Reply:
        asked.append(headers.get("If-None-Match"))
        same = headers.get("If-None-Match") == '"v1"'
        fields = {"ETag": '"v1"', "Content-Type": "text/csv"}
        return Reply(status=304, headers=fields) if same else Reply(b"id,at\n1,2020-01-01\n", headers=fields)

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
