"""Reading sources: files, SQLite and real HTTP."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.rows_as_csv import PIECE, records
from redrive.flows.sync.source.sqlite_source import SqliteSource
from redrive.flows.sync.source.unreachable import SourceUnreachable
from tests.support.http_source import answering
from tests.support.source_rows import rows


def test_csv_keeps_texts_as_they_are(tmp_path: Path):
    path = tmp_path / "articles.csv"
    path.write_text("\ufeffnumber;name\n00123;Schraube\n;NA\n", encoding="utf-8")
    assert rows(str(path)) == [{"number": "00123", "name": "Schraube"}, {"number": None, "name": "NA"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b,a\n1,2,3\n", "2 columns named 'a'"),
        ("a,,c\n1,2,3\n", "a column without a name, the 2. one"),
        ("a,b\n1,2\n3,4,5,6\n", "no proper CSV"),
        ("", "has no columns"),
        (f"{'x' * 70},b\n1,2\n", "longer than 63 bytes"),
    ],
)
def test_csv_that_cannot_be_meant_is_refused(tmp_path: Path, content: str, said: str):
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(PermanentError, match=said):
        rows(str(tmp_path / "data.csv"))


def test_value_of_a_megabyte_is_read(tmp_path: Path):
    (tmp_path / "data.csv").write_text(f"id,text\n1,{'x' * 1_000_000}\n")
    assert len(rows(str(tmp_path / "data.csv"))[0]["text"] or "") == 1_000_000


def test_csv_that_is_no_utf8_is_refused(tmp_path: Path):
    (tmp_path / "data.csv").write_bytes("name\nGröße\n".encode("cp1252"))
    with pytest.raises(PermanentError, match="is not UTF-8"):
        rows(str(tmp_path / "data.csv"))


def test_sqlite_table_is_read_with_its_nulls(tmp_path: Path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute('create table "order lines" (id integer, price real, note text)')
        database.execute("insert into \"order lines\" values (1, 2.5, null), (2, 3, 'x')")
        database.commit()
    assert rows(str(path), source_table="order lines") == [
        {"id": "1", "price": "2.5", "note": None},
        {"id": "2", "price": "3.0", "note": "x"},
    ]
    with pytest.raises(PermanentError, match="name its table in source_table"):
        rows(str(path))
    with pytest.raises(PermanentError, match="no such table: orders"):
        rows(str(path), source_table="orders")


def test_json_over_http_gives_rows_with_nested_values_as_json():
    with answering(
        200, b'{"count": 1, "items": [{"id": 1, "tags": ["a"], "ok": true, "x": null}]}', "application/json"
    ) as url:
        assert rows(url) == [{"id": "1", "tags": '["a"]', "ok": "true", "x": None}]


def test_csv_over_http_gives_rows():
    with answering(200, b"id,name\n1,a\n", "text/csv") as url:
        assert rows(url) == [{"id": "1", "name": "a"}]


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (404, PermanentError, "answers 404"),
        (503, SourceUnreachable, "answers 503"),
        (429, SourceUnreachable, "answers 429"),
    ],
)
def test_status_decides_whether_another_try_can_help(status: int, error: type[Exception], said: str):
    with answering(status, b"", "text/plain") as url, pytest.raises(error, match=said):
        rows(url)


def test_source_that_is_unavailable_is_named_without_its_secrets():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceUnreachable, match="cannot be reached") as away:
        rows(f"http://me:hidden@127.0.0.1:{port}/data?token=hidden")
    assert "hidden" not in str(away.value)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(PermanentError, match=r"nothing\.csv does not exist"):
        rows(str(tmp_path / "nothing.csv"))


def test_ndjson_gives_rows_with_columns_that_come_late(tmp_path: Path):
    path = tmp_path / "events.ndjson"
    path.write_text('{"id": 1, "x": ""}\n{"id": 2, "y": {"a": [0.10, null]}}\n')
    assert rows(str(path)) == [{"id": "1", "x": None, "y": None}, {"id": "2", "x": None, "y": '{"a": [0.10, null]}'}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1, 2]", "no list of JSON objects"),
        ('{"a": [{"id": 1}], "b": []}', "no list of JSON objects"),
        ('{"id": 1}', "no list of JSON objects"),
        ('[{"id": 1}', "no proper JSON"),
        ("nothing", "no proper JSON"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_json_that_holds_no_rows_is_refused(tmp_path: Path, content: str, said: str):
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(PermanentError, match=said):
        rows(str(tmp_path / "data.json"))


def test_encoding_comes_from_the_server_or_the_parameter(tmp_path: Path):
    content = "id;name\n1;Größe\n".encode("cp1252")
    with answering(200, content, "text/csv; charset=windows-1252") as url:
        assert rows(url) == [{"id": "1", "name": "Größe"}]
    (tmp_path / "data.csv").write_bytes(content)
    assert rows(str(tmp_path / "data.csv"), encoding="cp1252") == [{"id": "1", "name": "Größe"}]
    with pytest.raises(PermanentError, match="nobody knows the encoding 'klingon'"):
        rows(str(tmp_path / "data.csv"), encoding="klingon")


def test_rows_are_put_together_up_to_a_size_however_large_they_are():
    taken: list[int] = []

    def rows() -> Iterator[tuple[str]]:
        for number in range(20):
            taken.append(number)
            yield ("x" * 100_000,)

    blocks = records(rows())
    first = next(blocks)
    assert len(first) <= PIECE + 100_001
    assert len(taken) <= PIECE // 100_000 + 1
    assert len(first) + sum(map(len, blocks)) == 20 * 100_001


#: Kilobytes that reading may take beyond what it takes of a small file: pieces of a megabyte are on their way.
GROWN = 8_000

READER = """
import json, sys
from pathlib import Path
from redrive.flows.sync.source.opened import opened

def peak():
    # Not by getrusage, whose peak is that of whoever started this process.
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))

def read(path):
    with opened(path) as source:
        return sum(len(block) for block in source.blocks())

grown = {}
small, large = sys.argv[1:5], sys.argv[5:]
assert [read(path) for path in small]
for path in large:
    before = peak()
    assert read(path) > 12_000_000
    grown[path] = peak() - before
print(json.dumps(grown))
"""


def test_file_of_any_size_is_read_in_bounded_memory(tmp_path: Path):
    def written(count: int) -> list[Path]:
        values = ("x" * 150, "1234567890123456.78", "y" * 50)
        rows = [f'{{"id": {n}, "a": "{values[0]}", "b": {values[1]}, "c": "{values[2]}"}}' for n in range(count)]
        contents = {
            "list.json": f"[{','.join(rows)}]",
            "beside.json": f'{{"total": {count}, "data": [{",".join(rows)}], "next": null}}',
            "lines.ndjson": "\n".join(rows),
            "table.csv": "id,a,b,c\n" + "\n".join(f"{n},{','.join(values)}" for n in range(count)),
        }
        for name, content in contents.items():
            (tmp_path / f"{count}-{name}").write_text(content)
        return [tmp_path / f"{count}-{name}" for name in contents]

    command = [sys.executable, "-c", READER, *written(20), *written(60_000)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    # Kilobytes, of files with fourteen million bytes.
    assert {path: grown for path, grown in json.loads(done.stdout).items() if grown > GROWN} == {}


def test_empty_texts_bytes_and_blanks_of_sqlite_are_distinguished(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("create table t (id integer, x text collate rtrim, y)")
        database.executemany(
            "insert into t values (?, ?, ?)", [(1, "", b""), (2, "  ", b"\x00\xff"), (3, None, "x"), (4, "0", 5)]
        )
        database.commit()
    source = SqliteSource(tmp_path / "shop.db", "shop.db", "t")
    assert b"".join(source.blocks()).decode().splitlines() == ['1,"",\\x', "2,  ,\\x00ff", "3,,x", "4,0,5"]
