"""Reading sources: files, SQLite and real HTTP."""

from __future__ import annotations

import csv
import gzip
import io
import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.flows.sync.source.download import wait_seconds
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.source.rows_as_csv import PIECE, records
from redrive.flows.sync.source.sqlite_source import SqliteSource
from redrive.flows.sync.source.unreachable import SourceUnreachable
from redrive.flows.sync.table.column_types import Column
from redrive.flows.sync.table.record_scan import RecordScan
from tests.support.http_source import Page, answering, serving


def rows(source: str, **options: str) -> list[dict[str, str | None]]:
    with opened(source, **options) as found:  # type: ignore[arg-type]
        columns = [Column(name) for name in found.columns]
        scan = RecordScan(
            columns,
            label=found.label,
            delimiter=found.delimiter,
            end=found.end,
            empty_is_missing=found.empty_is_missing,
        )
        text = b"".join(scan.scanned(found.blocks())).decode()
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=found.delimiter)
        return [dict(zip(found.columns, (value or None for value in line), strict=True)) for line in lines]


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


def pages(path: str, _headers: object) -> Page:
    number = int(path.rpartition("=")[2] or 1) if "=" in path else 1
    link = {"Link": f'<https://example.com/>; rel="first", </csv?page={number + 1}>; rel=next'} if number < 3 else {}
    if path.startswith("/csv"):
        return Page(f"id\n{number}\n".encode(), headers={"Content-Type": "text/csv", **link})
    following = f'"?page={number + 1}"' if number < 3 else "null"
    return Page(
        f'{{"next": {following}, "rows": [{{"id": {number}}}]}}'.encode(), headers={"Content-Type": "application/json"}
    )


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_all_pages_are_followed(kind: str):
    with serving(pages) as url:
        assert rows(f"{url}/{kind}") == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
        with (
            pytest.raises(PermanentError, match="more than 2 pages"),
            opened(f"{url}/{kind}", limits=Limits(pages=2)),
        ):
            pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"next": "/data?page=1", "rows": [{"id": 1}]}', "pages lead in circles"),
        ('{"next_cursor": "abc", "rows": [{"id": 1}]}', "has a further page"),
        ('{"has_more": true, "rows": [{"id": 1}]}', "has a further page"),
        ('{"next": {"page": 2}, "meta": {"next_page": 2}, "rows": [{"id": 1}]}', "has a further page"),
        ('{"next": "http://169.254.169.254/", "rows": [{"id": 1}]}', "no public address"),
    ],
)
def test_source_whose_pages_cannot_be_followed_is_never_half_read(content: str, said: str):
    with answering(200, content.encode(), "application/json") as url, pytest.raises(PermanentError, match=said):
        rows(f"{url}?page=1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"total_count": 3, "rows": [{"id": 1}, {"id": 2}]}', "there are 3 rows (total_count), and sent 2"),
        ('{"meta": {"total": 300, "page": 1}, "rows": [{"id": 1}]}', "there are 300 rows (meta.total), and sent 1"),
        ('{"page": 1, "pages": 9, "rows": [{"id": 1}]}', "there are 9 pages (pages), and 1 were found"),
        ('{"total": 300, "rows": [{"id": 1}]}', ""),
        ('{"count": 2, "page": 1, "total_pages": 1, "rows": [{"id": 1, "total_count": 9}, {"id": 2}]}', ""),
    ],
)
def test_source_that_says_that_it_has_more_than_it_sent_is_a_warning(content: str, said: str):
    with answering(200, content.encode(), "application/json") as url, opened(url) as source:
        assert said in "".join(source.warnings)
        assert bool(source.warnings) == bool(said)


PACKED = gzip.compress(b"id\n1\n") + gzip.compress(b"2\n3\n")


@pytest.mark.parametrize("end", [len(PACKED) - 1, len(PACKED) - 9, 20])
def test_packed_answer_that_breaks_off_is_never_half_read(end: int):
    with answering(200, PACKED, "text/csv", {"Content-Encoding": "gzip"}) as url:
        assert rows(url) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    with (
        answering(200, PACKED[:end], "text/csv", {"Content-Encoding": "gzip", "Content-Length": str(end)}) as url,
        pytest.raises(SourceUnreachable, match="broke off in the middle"),
    ):
        rows(url)


def test_answer_packed_in_another_way_is_refused():
    with (
        answering(200, b"id\n1\n", "text/csv", {"Content-Encoding": "br"}) as url,
        pytest.raises(PermanentError, match="packs its answer as 'br'"),
    ):
        rows(url)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("120", 120), ("Wed, 25 Nov 2026 10:00:30 GMT", 30), ("0", 1), ("99999999", 6 * 3600), ("soon", None)],
)
def test_retry_after_is_read_as_seconds_or_a_date(retry_after: str, seconds: float | None):
    assert wait_seconds(retry_after, datetime(2026, 11, 25, 10, tzinfo=UTC)) == seconds


def test_server_that_names_a_time_is_asked_again_then():
    with answering(429, b"", "text/plain", {"Retry-After": "90"}) as url, pytest.raises(Snooze) as snooze:
        rows(f"{url}?token=hidden")
    assert snooze.value.delay.total_seconds() == 90
    assert "hidden" not in str(snooze.value)


@pytest.mark.parametrize("hours", [1, -1])
def test_date_to_come_again_is_read_by_the_clock_of_the_server_that_names_it(hours: int):
    its_time = datetime.now(UTC) + timedelta(hours=hours)
    again = format_datetime(its_time + timedelta(seconds=90), usegmt=True)
    date = format_datetime(its_time, usegmt=True)
    page = Page(b"", 429, {"Retry-After": again}, date=date)
    with serving(lambda _path, _headers: page) as url, pytest.raises(Snooze) as snooze:
        rows(url)
    assert snooze.value.delay.total_seconds() == 90


def test_answer_that_is_too_large_is_refused_before_it_arrives():
    sent = 0

    def endless(write: Callable[[bytes], object]) -> None:
        nonlocal sent
        while sent < 1 << 30:
            write(bytes(1 << 16))
            sent += 1 << 16

    announced = {"Content-Type": "text/csv", "Content-Length": str(10 * 1024**3)}
    with serving(lambda _path, _headers: Page(headers=announced, write=endless)) as url:
        with pytest.raises(PermanentError, match="sends more than 2,048 MB"):
            rows(url)
        assert sent < 1 << 26
    with serving(lambda _path, _headers: Page(write=endless)) as url:
        with pytest.raises(PermanentError, match="sends more than 4 MB"), opened(url, limits=Limits(megabytes=4)):
            pass
        assert sent < 1 << 27


def test_source_that_trickles_is_cut_off_by_the_total_time():
    going = threading.Event()

    def trickle(write: Callable[[bytes], object]) -> None:
        while not going.wait(0.02):
            write(b"1\n")

    with serving(lambda _path, _headers: Page(write=trickle)) as url:
        try:
            with (
                pytest.raises(SourceUnreachable, match=r"not through after 0\.2 s"),
                opened(url, limits=Limits(seconds=0.2)),
            ):
                pass
        finally:
            going.set()


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


def test_empty_texts_bytes_and_blanks_of_sqlite_are_told_apart(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("create table t (id integer, x text collate rtrim, y)")
        database.executemany(
            "insert into t values (?, ?, ?)", [(1, "", b""), (2, "  ", b"\x00\xff"), (3, None, "x"), (4, "0", 5)]
        )
        database.commit()
    source = SqliteSource(tmp_path / "shop.db", "shop.db", "t")
    assert b"".join(source.blocks()).decode().splitlines() == ['1,"",\\x', "2,  ,\\x00ff", "3,,x", "4,0,5"]
