"""A source of rows: columns, and chunks of text values that can be read more than once.

Danger: values are text until the database reads them, so that 00123 stays 00123 and nothing is rounded on the way; a
missing value is None, never an empty text.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from math import isnan
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from redrive.blocks.errors import PermanentError
from redrive.blocks.file_access import open_file, real_path
from redrive.blocks.http_access import without_secrets
from redrive.flows.sync_source.download import Budget, download
from redrive.flows.sync_source.limits import Limits

Kind = Literal["auto", "csv", "sqlite", "json"]

#: Rows held in memory at once; 50,000 rows of 20 columns are some 60 MB as text.
CHUNK_ROWS = 50_000
#: PostgreSQL cuts longer names off silently.
NAME_BYTES_LIMIT = 63

_QUOTED = re.compile(r'"[^"]*"')


class Source(ABC):
    """Rows as text, in chunks."""

    def __init__(self, path: Path, label: str) -> None:
        self.path = path
        self.label = label

    @property
    @abstractmethod
    def columns(self) -> list[str]: ...

    @abstractmethod
    def chunks(self) -> Iterator[pd.DataFrame]:
        """All rows, from the start each time; every value is a text or None."""


class CsvSource(Source):
    @property
    def columns(self) -> list[str]:
        with self._explained(), self.path.open(encoding="utf-8-sig", newline="") as file:
            # pandas renames a column that comes twice; two columns of one name are the source's mistake.
            return next(csv.reader(file, delimiter=self._delimiter), [])

    def chunks(self) -> Iterator[pd.DataFrame]:
        with self._explained():
            reader = pd.read_csv(
                self.path,
                sep=self._delimiter,
                encoding="utf-8-sig",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                chunksize=CHUNK_ROWS,
                index_col=False,
                on_bad_lines="error",
            )
            with reader:
                for chunk in reader:
                    texts = chunk.astype(object)
                    yield texts.where(texts.notna(), None)

    @property
    def _delimiter(self) -> str:
        with self.path.open(encoding="utf-8-sig", errors="replace") as file:
            first = _QUOTED.sub("", file.readline())
        return max(",;\t|", key=first.count)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise PermanentError(f"{self.label} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
            said = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
            raise PermanentError(f"{self.label} is no proper CSV ({said}): correct the file") from error


class JsonSource(Source):
    """A list of objects, or an object whose one list of objects is meant (`{"data": [...]}`)."""

    def __init__(self, path: Path, label: str) -> None:
        super().__init__(path, label)
        self._frame = self._read()

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self._frame.columns]

    def chunks(self) -> Iterator[pd.DataFrame]:
        for start in range(0, len(self._frame), CHUNK_ROWS):
            yield self._frame.iloc[start : start + CHUNK_ROWS]

    def _read(self) -> pd.DataFrame:
        try:
            content = json.loads(self.path.read_bytes())
        except ValueError as error:
            raise PermanentError(f"{self.label} is no proper JSON ({error}): check what it answers") from error
        if isinstance(content, dict):
            lists = [value for value in content.values() if isinstance(value, list)]
            content = lists[0] if len(lists) == 1 else content
        if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
            raise PermanentError(
                f"{self.label} is no list of JSON objects: a sync needs [{{...}}, ...] or one list in an object"
            )
        names = list(dict.fromkeys(str(name) for row in content for name in row))
        return _frame(names, ([row.get(name) for name in names] for row in content))


class SqliteSource(Source):
    def __init__(self, path: Path, label: str, table: str) -> None:
        super().__init__(path, f"table {table} of {label}")
        self._table = table

    @property
    def columns(self) -> list[str]:
        with self._open() as database:
            cursor = database.execute(f"select * from {self._quoted} limit 0")  # noqa: S608  (quoted)
            return [name for name, *_ in cursor.description]

    def chunks(self) -> Iterator[pd.DataFrame]:
        with self._open() as database:
            cursor = database.execute(f"select * from {self._quoted}")  # noqa: S608  (quoted)
            names = [name for name, *_ in cursor.description]
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield _frame(names, rows)

    @property
    def _quoted(self) -> str:
        return '"' + self._table.replace('"', '""') + '"'

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise
            raise PermanentError(
                f"{self.label} cannot be read ({error}): check the file and the table's name"
            ) from error
        except sqlite3.DatabaseError as error:
            raise PermanentError(f"{self.label} cannot be read ({error}): check that it is an SQLite file") from error


@contextmanager
def opened(source: str, *, kind: Kind = "auto", source_table: str | None = None) -> Iterator[Source]:
    """The source of a path or URL; what had to be downloaded is removed at the end.

    Raises:
        PermanentError: not there, not readable, or not of its kind.
    """
    if source.startswith(("http://", "https://")):
        with tempfile.TemporaryDirectory(prefix="redrive-download-") as folder:
            answer = download(source, Path(folder) / "source", Budget(Limits()))
            assert answer.path  # noqa: S101  (tells mypy: nothing was asked on condition)
            path, mime = answer.path, answer.headers.get("content-type", "")
            yield _of(
                path,
                kind if kind != "auto" else ("json" if "json" in mime else "csv"),
                without_secrets(source),
                source_table,
            )
        return
    if "://" in source:
        raise PermanentError(
            f"{without_secrets(source)} is no file and no http(s) address: correct the parameter source"
        )
    path = real_path(source)
    with open_file(source) as file:
        head = file.read(16)
    if kind == "auto":
        kind = "sqlite" if head == b"SQLite format 3\x00" else "json" if path.suffix == ".json" else "csv"
    yield _of(path, kind, path.name, source_table)


def _of(path: Path, kind: Kind, label: str, source_table: str | None) -> Source:
    if kind == "sqlite":
        if not source_table:
            raise PermanentError(f"{label} is an SQLite file: name its table in source_table")
        found: Source = SqliteSource(path, label, source_table)
    elif source_table:
        raise PermanentError(f"source_table is for SQLite files, and {label} is none: leave it out")
    else:
        found = JsonSource(path, label) if kind == "json" else CsvSource(path, label)
    _check(found)
    return found


def _check(source: Source) -> None:
    names = source.columns
    if not names:
        raise PermanentError(f"{source.label} has no columns: check that it is the file you mean")
    for name in names:
        if not name.strip() or "\x00" in name:
            raise PermanentError(
                f"{source.label} has a column without a name, the {names.index(name) + 1}. one: name it"
            )
        if len(name.encode()) > NAME_BYTES_LIMIT:
            raise PermanentError(
                f"{source.label}: column {name[:30]!r}… is longer than {NAME_BYTES_LIMIT} bytes: give it a shorter name"
            )
        if names.count(name) > 1:
            raise PermanentError(f"{source.label} has {names.count(name)} columns named {name!r}: rename all but one")


def _frame(columns: list[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Rows as text; each column an object, or pandas would turn None into NaN and whole numbers into floats."""
    texts = [[_value(value) for value in row] for row in rows]
    return pd.DataFrame(texts, columns=columns, dtype=object)


def _value(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
