"""The table of the warehouse that a sync writes to.

Danger: names come from people and from files. They only ever reach SQL as `sql.Identifier`, and are never cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.source import NAME_BYTES_LIMIT, Since

#: Name of the temporary table; gone with the transaction.
INCOMING = sql.Identifier("redrive_incoming")
#: Types whose highest value is the latest one. Texts are not: 10 sorts before 9.
ORDERED = frozenset(
    (
        "bigint", "integer", "smallint", "numeric", "double precision", "real", "date", "timestamp without time zone",
        "timestamp with time zone",
    )
)  # fmt: skip
#: Types that round without a word what is more exact than they were made for.
_ROUNDING = ("numeric", "timestamp without time zone", "timestamp with time zone")


class Target:
    """One table, there or not."""

    def __init__(self, connection: psycopg.Connection, table: str) -> None:
        parts = table.split(".")
        if len(parts) > 2 or not all(part.strip() for part in parts) or "\x00" in table:  # noqa: PLR2004  (schema and name)
            raise PermanentError(f"{table!r} names no table: give name or schema.name")
        for part in parts:
            if len(part.encode()) > NAME_BYTES_LIMIT:
                raise PermanentError(
                    f"{part[:30]!r}… is longer than {NAME_BYTES_LIMIT} bytes, and PostgreSQL would cut it: give a shorter name"
                )
        schema = parts[0].casefold() if len(parts) == 2 else ""  # noqa: PLR2004
        if schema.startswith("pg_") or schema == "information_schema":
            raise PermanentError(f"schema {parts[0]!r} belongs to PostgreSQL itself: give another one")
        self.name = sql.Identifier(*parts)
        self.label = table
        self._connection = connection
        self._schema = parts[0] if schema else None

    def beside(self, name: str) -> sql.Identifier:
        """A table in the same schema."""
        return sql.Identifier(self._schema, name) if self._schema else sql.Identifier(name)

    def columns(self) -> dict[str, str]:
        """PostgreSQL's type of each column; empty if there is no table."""
        rows = self._connection.execute(
            "select attname, format_type(atttypid, null) from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
            [self.name.as_string(self._connection)],
        ).fetchall()
        return dict(rows)

    def limited(self) -> dict[str, str]:
        """The full type of each column that keeps so many digits only: numeric(10,2), timestamp(0)."""
        rows = self._connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = to_regclass(%s) and attnum > 0"
            " and not attisdropped and atttypmod <> -1 and format_type(atttypid, null) = any(%s)",
            [self.name.as_string(self._connection), list(_ROUNDING)],
        ).fetchall()
        return dict(rows)

    def make(self, types: Mapping[str, str]) -> None:
        """Make the table, still without its key: an index over all rows at once takes a fifth of the time."""
        body = sql.SQL(", ").join(map(_definition, types.items()))
        self._connection.execute(sql.SQL("create table {} ({})").format(self.name, body))

    def add_key(self, key: Sequence[str]) -> None:
        self._connection.execute(sql.SQL("alter table {} add primary key ({})").format(self.name, listed(key)))

    def grow(self, types: Mapping[str, str], existing: Mapping[str, str], key: Sequence[str]) -> tuple[str, ...]:
        """Add the columns that the table lacks; says which."""
        added = [name for name in types if name not in existing]
        if missing := [name for name in key if name not in existing]:
            raise PermanentError(
                f"table {self.label} has no key column {missing[0]!r}: give the key it was made with, or another table"
            )
        for name in added:
            self._connection.execute(
                sql.SQL("alter table {} add column {}").format(self.name, _definition((name, types[name])))
            )
        return tuple(added)

    def highest(self, cursor: str) -> str | None:
        """The highest value of the cursor column, as text."""
        row = self._connection.execute(
            sql.SQL("select max({})::text from {}").format(sql.Identifier(cursor), self.name)
        ).fetchone()
        return row[0] if row else None

    def since(self, cursor: str, existing: Mapping[str, str]) -> Since | None:
        """Where a sync goes on; None: nowhere in particular, all rows are compared."""
        value = self.highest(cursor) if existing.get(cursor) in ORDERED else None
        return None if value is None else Since(cursor, existing[cursor], value)

    def insert(self, columns: Sequence[str], rows: sql.Composable) -> int:
        """Insert all rows into the new table."""
        done = self._connection.execute(sql.SQL("insert into {} ({}) {}").format(self.name, listed(columns), rows))
        return done.rowcount

    def upsert(self, columns: Sequence[str], key: Sequence[str], rows: sql.Composable) -> tuple[int, int]:
        """Rows inserted and updated; a row that is equal already is not touched."""
        others = [name for name in columns if name not in key]
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
            "with done as (insert into {} as t ({}) {} on conflict ({}) do {} returning (t.xmax = 0) as inserted)"
            " select count(*) filter (where inserted), count(*) filter (where not inserted) from done"
        ).format(self.name, listed(columns), rows, listed(key), action)
        try:
            row = self._connection.execute(statement).fetchone()
        except psycopg.errors.InvalidColumnReference as error:
            raise PermanentError(
                f"table {self.label} has no unique index over ({', '.join(key)}): make one, or give the key it was made with"
            ) from error
        return (row[0], row[1]) if row else (0, 0)


def listed(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _definition(column: tuple[str, str]) -> sql.Composed:
    name, kind = column
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
