"""Brings rows into a PostgreSQL table: COPY into a temporary table, then one upsert, all in one transaction.

Danger: names come from people and from files. They only ever reach SQL as `sql.Identifier`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import psycopg
from psycopg import sql

from redrive.blocks.errors import PermanentError
from redrive.flows.sync_source.source import Source
from redrive.flows.sync_table.column_types import Inference, fits, prepared, unfit_example

#: Name of the temporary table; gone with the transaction.
INCOMING = sql.Identifier("redrive_incoming")
#: How many wrong keys an error names.
EXAMPLES = 3


@dataclass(frozen=True)
class Merged:
    """What one sync did."""

    read: int
    inserted: int
    updated: int
    columns_added: tuple[str, ...]
    cursor: str | None

    @property
    def unchanged(self) -> int:
        return self.read - self.inserted - self.updated


def merge(
    connection: psycopg.Connection, source: Source, *, table: str, key: Sequence[str], cursor: str | None = None
) -> Merged:
    """Upsert the source's rows into `table`, which is made if it is not there.

    Args:
        connection: in a transaction, which the caller commits.
        table: `name` or `schema.name`.
        key: columns that identify a row.
        cursor: rows whose value lies below the table's highest are left out.

    Raises:
        PermanentError: a column, key or type does not fit; the message says which and what to do.
    """
    target = Target(connection, table)
    columns = source.columns
    _check_columns(source, columns, key, cursor)
    try:
        # Two syncs of one table wait for each other here instead of meeting in a deadlock.
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"redrive sync {table}"])
        wanted = _types(source, columns, target.columns())
        added = target.make(columns, wanted, key)
        types = target.columns()
        read = _copy(
            connection, source, columns, types, since=target.highest(cursor) if cursor else None, cursor=cursor
        )
        _check_keys(connection, source, key)
        inserted, updated = target.upsert(columns, key)
        highest = target.highest(cursor) if cursor else None
    except psycopg.errors.DataError as error:
        raise PermanentError(
            f"{source.label} has a value that table {table} cannot take ({_said(error)}): correct it"
        ) from error
    except psycopg.errors.IntegrityError as error:
        raise PermanentError(
            f"table {table} refuses a row of {source.label} ({_said(error)}): correct one of them"
        ) from error
    except (psycopg.errors.SyntaxErrorOrAccessRuleViolation, psycopg.errors.InvalidSchemaName) as error:
        raise PermanentError(
            f"table {table} cannot be written ({_said(error)}): check its name, columns and permissions"
        ) from error
    return Merged(read=read, inserted=inserted, updated=updated, columns_added=added, cursor=highest)


class Target:
    """The table that is written to."""

    def __init__(self, connection: psycopg.Connection, table: str) -> None:
        parts = table.split(".")
        if len(parts) > 2 or not all(part.strip() for part in parts):  # noqa: PLR2004  (schema and name)
            raise PermanentError(f"{table!r} names no table: give name or schema.name")
        self.name = sql.Identifier(*parts)
        self._label = table
        self._connection = connection

    def columns(self) -> dict[str, str]:
        """PostgreSQL's type of each column; empty if there is no table."""
        rows = self._connection.execute(
            "select attname, format_type(atttypid, null) from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
            [self.name.as_string(self._connection)],
        ).fetchall()
        return dict(rows)

    def make(self, columns: Sequence[str], types: dict[str, str], key: Sequence[str]) -> tuple[str, ...]:
        """Make the table, or add the columns it lacks; says which were added to an existing one."""
        existing = self.columns()
        definitions = {name: sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in columns}
        if not existing:
            keys = sql.SQL(", ").join(map(sql.Identifier, key))
            body = sql.SQL(", ").join(definitions.values())
            self._connection.execute(sql.SQL("create table {} ({}, primary key ({}))").format(self.name, body, keys))
            return ()
        added = [name for name in columns if name not in existing]
        if missing := [name for name in key if name not in existing]:
            raise PermanentError(
                f"table {self._label} has no key column {missing[0]!r}: give the key it was made with, or another table"
            )
        for name in added:
            self._connection.execute(sql.SQL("alter table {} add column {}").format(self.name, definitions[name]))
        return tuple(added)

    def highest(self, cursor: str) -> str | None:
        """The highest value of the cursor column, as text."""
        row = self._connection.execute(
            sql.SQL("select max({})::text from {}").format(sql.Identifier(cursor), self.name)
        ).fetchone()
        return row[0] if row else None

    def upsert(self, columns: Sequence[str], key: Sequence[str]) -> tuple[int, int]:
        """Rows inserted and updated; a row that is equal already is not touched."""
        others = [name for name in columns if name not in key]
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        if others:
            pairs = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others]
            ours = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in others)
            theirs = sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in others)
            action = sql.SQL("update set {} where ({}) is distinct from ({})").format(
                sql.SQL(", ").join(pairs), ours, theirs
            )
        else:
            action = sql.Composed([sql.SQL("nothing")])
        # xmax is 0 in a row version that no update made (a system column, stable since PostgreSQL 9.5).
        statement = sql.SQL(
            "with done as (insert into {} as t ({}) select {} from {} on conflict ({}) do {} returning (t.xmax = 0) as inserted)"
            " select count(*) filter (where inserted), count(*) filter (where not inserted) from done"
        ).format(self.name, listed, listed, INCOMING, sql.SQL(", ").join(map(sql.Identifier, key)), action)
        try:
            row = self._connection.execute(statement).fetchone()
        except psycopg.errors.InvalidColumnReference as error:
            raise PermanentError(
                f"table {self._label} has no unique index over ({', '.join(key)}): make one, or give the key it was made with"
            ) from error
        return (row[0], row[1]) if row else (0, 0)


def _check_columns(source: Source, columns: Sequence[str], key: Sequence[str], cursor: str | None) -> None:
    if not key:
        raise PermanentError(f"a sync needs a key: name the columns that identify a row of {source.label}")
    for name in [*key, *([cursor] if cursor else [])]:
        if name not in columns:
            what = "cursor" if name == cursor and name not in key else "key"
            raise PermanentError(f"{source.label} has no column {name!r} for the {what}; it has {', '.join(columns)}")


def _types(source: Source, columns: Sequence[str], existing: dict[str, str]) -> dict[str, str]:
    seen = {name: Inference() for name in columns}
    for chunk in source.chunks():
        for name, inference in seen.items():
            inference.see(chunk[name])
            kind = existing.get(name)
            if kind and not inference.empty and not fits(inference.type, kind):
                example = unfit_example(chunk[name], kind)
                if example is not None:
                    raise PermanentError(
                        f"column {name!r} of {source.label} holds {example[:60]!r}, but the table has it as {kind}: correct the "
                        f'source, or widen the column: ALTER TABLE … ALTER COLUMN "{name}" TYPE {inference.type}'
                    )
    return {name: inference.type for name, inference in seen.items()}


def _copy(
    connection: psycopg.Connection,
    source: Source,
    columns: Sequence[str],
    types: dict[str, str],
    *,
    since: str | None,
    cursor: str | None,
) -> int:
    """COPY into the temporary table; how many rows are left after the cursor's cut."""
    definitions = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in columns]
    connection.execute(
        sql.SQL("create temporary table {} ({}) on commit drop").format(INCOMING, sql.SQL(", ").join(definitions))
    )
    into = sql.SQL("copy {} ({}) from stdin").format(INCOMING, sql.SQL(", ").join(map(sql.Identifier, columns)))
    with connection.cursor() as database, database.copy(into) as copy:
        for chunk in source.chunks():
            ready = pd.DataFrame({name: prepared(chunk[name], types[name]) for name in columns}).astype(object)
            for row in ready.where(ready.notna(), None).itertuples(index=False, name=None):
                copy.write_row(row)
    if cursor and since is not None:
        # Equal values stay in: more rows of the same moment may have come since.
        connection.execute(
            sql.SQL("delete from {} where {} < %s::{}").format(
                INCOMING, sql.Identifier(cursor), sql.SQL(types[cursor])
            ),
            [since],
        )
    counted = connection.execute(sql.SQL("select count(*) from {}").format(INCOMING)).fetchone()
    return int(counted[0]) if counted else 0


def _check_keys(connection: psycopg.Connection, source: Source, key: Sequence[str]) -> None:
    keys = sql.SQL(", ").join(map(sql.Identifier, key))
    absent = sql.SQL(" or ").join(sql.SQL("{} is null").format(sql.Identifier(name)) for name in key)
    row = connection.execute(sql.SQL("select count(*) from {} where {}").format(INCOMING, absent)).fetchone()
    if row and row[0]:
        raise PermanentError(
            f"{row[0]:,} rows of {source.label} have no value in the key ({', '.join(key)}): complete or remove them"
        )
    found = connection.execute(
        sql.SQL("select {}, count(*) from {} group by {} having count(*) > 1 order by count(*) desc limit {}").format(
            keys, INCOMING, keys, EXAMPLES
        )
    ).fetchall()
    if found:
        named = "; ".join(f"{', '.join(map(str, values))} ({count} times)" for *values, count in found)
        raise PermanentError(
            f"the key ({', '.join(key)}) does not identify one row of {source.label}: {named}; add a column to the key"
        )


def _said(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).splitlines()[0]
