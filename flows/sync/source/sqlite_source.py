"""A table of an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from redrive.blocks.access.held_file import HeldFile
from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.rows_as_csv import EMPTY, records
from redrive.flows.sync.source.source import Readable, Since, Source

#: Files that SQLite opens beside its own.
BESIDE = ("-wal", "-shm", "-journal")
#: A whole number of SQLite.
_LARGEST = 2**63 - 1


class SqliteSource(Source):
    def __init__(self, path: Readable, label: str, table: str) -> None:
        super().__init__(f"table {table} of {label}")
        self._path = path
        self._place = path.path if isinstance(path, HeldFile) else path.resolve()
        self._table = table

    @property
    def columns(self) -> list[str]:
        with self._open() as database:
            cursor = database.execute(f"select * from {_quoted(self._table)} limit 0")  # noqa: S608  (quoted)
            return [name for name, *_ in cursor.description]

    def blocks(self, *, since: Since | None = None) -> Iterator[bytes]:
        # In SQL, where it costs least: bytes as PostgreSQL writes them, and empty texts told from missing values.
        # Only bytes sort at or after no bytes (https://sqlite.org/datatype3.html, 4.1), which is asked faster than a type's name.
        values = ", ".join(
            f"case when {name} >= x'' then '\\x' || lower(hex({name})) when {name} = '' collate binary then '{EMPTY}' else {name} end"
            for name in map(_quoted, self.columns)
        )
        condition, given = _condition(since)
        with self._open() as database:
            cursor = database.execute(f"select {values} from {_quoted(self._table)}{condition}", given)  # noqa: S608  (quoted)
            yield from records(cursor)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._place.as_uri()}?mode=ro", uri=True)) as database:
                if isinstance(self._path, HeldFile):
                    self._path.check_opened()
                yield database
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise
            raise PermanentError(
                f"{self.label} cannot be read ({error}): check the file and the table's name"
            ) from error
        except sqlite3.DatabaseError as error:
            raise PermanentError(f"{self.label} cannot be read ({error}): check that it is an SQLite file") from error


def _condition(since: Since | None) -> tuple[str, list[Any]]:
    """Leaves out rows that certainly lie below: PostgreSQL compares exactly afterwards.

    SQLite sorts numbers before texts, and ISO dates sort as texts; whatever it holds instead is kept and judged later.
    """
    bound: Any = None
    if since is None:
        return "", []
    name = _quoted(since.column)
    kept = f"{name} is null"
    if since.type in {"bigint", "integer", "smallint", "numeric"}:
        whole = int(Decimal(since.value).to_integral_value(ROUND_FLOOR)) if _is_number(since.value) else None
        bound = whole if whole is not None and abs(whole) <= _LARGEST else None
    elif since.type in {"date", "timestamp without time zone", "timestamp with time zone"}:
        try:
            # Two days: the farthest zones lie 26 hours apart.
            bound = (date.fromisoformat(since.value[:10]) - timedelta(days=2)).isoformat()
        except (ValueError, OverflowError):
            bound = None
        kept = f"typeof({name}) <> 'text'"
    return ("", []) if bound is None else (f" where {name} >= ? or {kept}", [bound])


def _is_number(value: str) -> bool:
    return Decimal(value).is_finite()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
