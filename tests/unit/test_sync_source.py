"""Reading sources: files, SQLite and real HTTP."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from redrive.blocks.errors import PermanentError
from redrive.flows.sync_source.download import SourceUnreachable
from redrive.flows.sync_source.source import opened
from tests.support.http_source import answering


def rows(source: str, **options: str) -> list[dict[str, str | None]]:
    with opened(source, **options) as found:  # type: ignore[arg-type]
        return [row for chunk in found.chunks() for row in chunk.to_dict("records")]


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
def test_status_tells_whether_another_try_can_help(status: int, error: type[Exception], said: str):
    with answering(status, b"", "text/plain") as url, pytest.raises(error, match=said):
        rows(url)


def test_source_that_is_away_is_named_without_its_secrets():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceUnreachable, match="cannot be reached") as away:
        rows(f"http://me:hidden@127.0.0.1:{port}/data?token=hidden")
    assert "hidden" not in str(away.value)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(PermanentError, match=r"nothing\.csv does not exist"):
        rows(str(tmp_path / "nothing.csv"))
