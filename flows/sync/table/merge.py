"""Brings rows into a PostgreSQL table: COPY as text into a temporary table, then casts and one upsert, in one transaction.

Danger: what a value means is decided by the scan of all values (column_types), never by what PostgreSQL would also take: it reads
00123 as a number, and " 1" too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.source import Source
from redrive.flows.sync.table.column_format import ColumnFormat
from redrive.flows.sync.table.column_types import MISSING, Column, fits, fitting
from redrive.flows.sync.table.incoming import Incoming, copied
from redrive.flows.sync.table.target import INCOMING, ORDERED, Target

#: For the sort and the hash over the key; PostgreSQL's own default of 4 MB goes to disk with fifty thousand rows.
_WORK_MEM = "64MB"


@dataclass(frozen=True)
class Merged:
    """What one sync did."""

    read: int
    inserted: int
    updated: int
    columns_added: tuple[str, ...]
    cursor: str | None
    warnings: tuple[str, ...] = ()

    @property
    def unchanged(self) -> int:
        return self.read - self.inserted - self.updated


def merge(
    connection: psycopg.Connection,
    source: Source,
    *,
    table: str,
    key: Sequence[str],
    cursor: str | None = None,
    formats: Mapping[str, ColumnFormat] | None = None,
) -> Merged:
    """Upsert the source's rows into `table`, which is made if it is not there.

    Args:
        connection: in a transaction, which the caller commits.
        table: `name` or `schema.name`.
        key: columns that identify a row.
        cursor: rows whose value lies below the table's highest are left out, if it is a number or time there.
        formats: how columns write their values, where it is declared.

    Raises:
        PermanentError: a column, key or type does not fit; the message says which and what to do.
    """
    target = Target(connection, table)
    _check_columns(source, key, cursor, formats or {})
    with _explained(source, table):
        # Two syncs of one table wait for each other here instead of meeting in a deadlock.
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"redrive sync {table}"])
        connection.execute("select set_config('work_mem', %s, true)", [_WORK_MEM])
        existing = target.columns()
        columns = [Column(name, (formats or {}).get(name)) for name in source.columns]
        since = target.since(cursor, existing) if cursor else None
        scan = copied(connection, source, columns, since)
        _check_types(connection, source, columns, existing)
        types = {column.name: existing.get(column.name) or column.type for column in columns}
        rows = Incoming(connection, source, columns, types, since)
        added: tuple[str, ...] = ()
        if existing:
            added = target.grow(types, existing, key)
            rows.check_kept({name: kind for name, kind in target.limited().items() if name in types})
            read = rows.checked(key)
            inserted, updated = target.upsert(source.columns, key, rows.select)
        else:
            target.make(types)
            read = inserted = target.insert(source.columns, rows.select)
            updated = 0
            try:
                with connection.transaction():
                    target.add_key(key)
            except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation):
                rows.checked(key)  # says which
                raise
        highest = target.highest(cursor) if cursor else None
    return Merged(
        read=read,
        inserted=inserted,
        updated=updated,
        columns_added=added,
        cursor=highest,
        warnings=(*scan.warnings(), *_warnings(columns, existing), *_of_cursor(cursor, existing)),
    )


def _check_columns(source: Source, key: Sequence[str], cursor: str | None, formats: Mapping[str, ColumnFormat]) -> None:
    columns = source.columns
    if not key:
        raise PermanentError(f"a sync needs a key: name the columns that identify a row of {source.label}")
    wanted = {**dict.fromkeys(formats, "format"), **({cursor: "cursor"} if cursor else {}), **dict.fromkeys(key, "key")}
    for name, what in wanted.items():
        if name not in columns:
            raise PermanentError(
                f"{source.label} has no column {name!r} for the {what}; it has {', '.join(columns)[:1000]}"
            )
    if len(set(key)) < len(key):
        raise PermanentError(f"the key ({', '.join(key)}) names a column twice: name each once")


def _check_types(
    connection: psycopg.Connection, source: Source, columns: Sequence[Column], existing: Mapping[str, str]
) -> None:
    for column in columns:
        kind = existing.get(column.name)
        if not kind or column.empty or fits(column.kind, kind):
            continue
        pattern = fitting(kind)
        name = sql.Identifier(column.name)
        row = connection.execute(
            sql.SQL("select {0} from {1} where {0} <> all(%s) and {0} !~ %s limit 1").format(name, INCOMING),
            [list(MISSING), f"^(?:{pattern})$"],
        ).fetchone()
        if row:
            raise PermanentError(
                f"column {column.name!r} of {source.label} holds {row[0][:60]!r}, but the table has it as {kind}: correct the "
                f'source, or widen the column: ALTER TABLE … ALTER COLUMN "{column.name}" TYPE {column.type}'
            )
        # Nothing but marks and values that fit: what the scan calls text is a column of marks.
        column.marked = True


def _warnings(columns: Sequence[Column], existing: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"column {column.name!r} became text: line {column.fallen[0]:,} holds {column.fallen[1][:60]!r}, and the values before "
        f"are {column.fallen[2]}; declare its format in the parameter columns if it is meant as one"
        for column in columns
        if column.fallen and column.name not in existing
    )


def _of_cursor(cursor: str | None, existing: Mapping[str, str]) -> tuple[str, ...]:
    kind = existing.get(cursor or "")
    if kind is None or kind in ORDERED:
        return ()
    message = (
        f"column {cursor!r} leaves no row out, as the table has it as {kind}, which may sort otherwise than it grows (10 before 9): "
        "declare its format in the parameter columns for a new table, or leave the cursor out"
    )
    return (message,)


@contextmanager
def _explained(source: Source, table: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.CharacterNotInRepertoire as error:
        raise PermanentError(f"{source.label} holds what is no text ({_reason(error)}): correct it") from error
    except (
        psycopg.errors.DataError,
        psycopg.errors.ProgramLimitExceeded,
        psycopg.errors.InvalidRowCountInLimitClause,
    ) as error:
        raise PermanentError(
            f"{source.label} has a value that table {table} cannot take ({_reason(error)}): correct it"
        ) from error
    except psycopg.errors.IntegrityError as error:
        raise PermanentError(
            f"table {table} refuses a row of {source.label} ({_reason(error)}): correct one of them"
        ) from error
    except psycopg.ProgrammingError as error:  # of names, columns and permissions: the same at each try
        raise PermanentError(
            f"table {table} cannot be written ({_reason(error)}): check its name, columns and permissions"
        ) from error


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).splitlines()[0]
