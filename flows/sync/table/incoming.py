"""A source's rows in a temporary table, as text, and what they mean as the types of the table they go to.

Danger: what a value means is decided by the scan of all values (column_types), never by what PostgreSQL would also take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.source import Since, Source
from redrive.flows.sync.table.column_types import KNOWN, MISSING, Column
from redrive.flows.sync.table.record_scan import RecordScan
from redrive.flows.sync.table.target import INCOMING, listed

#: How many wrong keys an error names.
EXAMPLES = 3


class Incoming:
    """The rows in the temporary table, as what they mean."""

    def __init__(
        self,
        connection: psycopg.Connection,
        source: Source,
        columns: Sequence[Column],
        types: Mapping[str, str],
        since: Since | None,
    ) -> None:
        self._connection = connection
        self._source = source
        self._values = {column.name: _value(column, types[column.name]) for column in columns}
        self._left: sql.Composable = sql.SQL("true")
        if since:
            # Equal values stay in: more rows of the same moment may have come since.
            self._left = sql.SQL("({} < {}::{}) is not true").format(
                self._values[since.column], sql.Literal(since.value), sql.SQL(types[since.column])
            )

    @property
    def select(self) -> sql.Composed:
        values = sql.SQL(", ").join(self._values.values())
        return sql.SQL("select {} from {} where {}").format(values, INCOMING, self._left)

    def check_kept(self, limited: Mapping[str, str]) -> None:
        """See that the table keeps the values as they are.

        Args:
            limited: full types of columns that keep so many digits only, like numeric(10,2).

        Raises:
            PermanentError: a value would be rounded.
        """
        for name, kind in limited.items():
            value, text = self._values[name], sql.Identifier(name)
            row = self._connection.execute(
                sql.SQL("select {0} from {1} where {2} and ({3})::{4} is distinct from {3} limit 1").format(
                    text, INCOMING, self._left, value, sql.SQL(kind)
                )
            ).fetchone()
            if row:
                raise PermanentError(
                    f"column {name!r} of {self._source.label} holds {row[0][:60]!r}, which the table would round, as it keeps {kind}: "
                    "correct the source, or widen the column"
                )

    def checked(self, key: Sequence[str]) -> int:
        """How many rows there are.

        Raises:
            PermanentError: the key does not identify them.
        """
        keys = [self._values[name] for name in key]
        absent = sql.SQL(" or ").join(sql.SQL("{} is null").format(value) for value in keys)
        found = self._connection.execute(
            sql.SQL("select count(*), count(*) filter (where {}) from {} where {}").format(absent, INCOMING, self._left)
        ).fetchone()
        count, incomplete = found or (0, 0)
        if incomplete:
            has, them = ("has", "it") if incomplete == 1 else ("have", "them")
            raise PermanentError(
                f"{counted(incomplete, 'row')} of {self._source.label} {has} no value in the key ({', '.join(key)}): "
                f"complete or remove {them}"
            )
        doubled = self._connection.execute(
            sql.SQL(
                "select {}, count(*) from {} where {} group by {} having count(*) > 1 order by count(*) desc limit {}"
            ).format(sql.SQL(", ").join(keys), INCOMING, self._left, sql.SQL(", ").join(keys), EXAMPLES)
        ).fetchall()
        if doubled:
            named = "; ".join(f"{', '.join(map(str, values))} ({times} times)" for *values, times in doubled)
            raise PermanentError(
                f"the key ({', '.join(key)}) does not identify one row of {self._source.label}: {named}; add a column to the key"
            )
        return int(count)


def copied(
    connection: psycopg.Connection, source: Source, columns: Sequence[Column], since: Since | None
) -> RecordScan:
    """Bring the source's records into the temporary table, as text; each value is seen by its column on the way."""
    names = [column.name for column in columns]
    definitions = [sql.SQL("{} text").format(sql.Identifier(name)) for name in names]
    connection.execute(
        sql.SQL("create temporary table {} ({}) on commit drop").format(INCOMING, sql.SQL(", ").join(definitions))
    )
    options: sql.Composable = sql.SQL("format csv, delimiter {}, encoding 'UTF8'").format(sql.Literal(source.delimiter))
    if source.empty_is_missing:
        options = sql.SQL("{}, force_null ({})").format(options, listed(names))
    into = sql.SQL("copy {} ({}) from stdin with ({})").format(INCOMING, listed(names), options)
    scan = RecordScan(
        columns,
        label=source.label,
        delimiter=source.delimiter,
        end=source.end,
        empty_is_missing=source.empty_is_missing,
        first_line=source.first_line,
    )
    with connection.cursor() as database, database.copy(into) as copy:
        for records in scan.scanned(source.blocks(since=since)):
            copy.write(records)
    return scan


def _value(column: Column, kind: str) -> sql.Composable:
    """SQL for a column's value as its type."""
    text: sql.Composable = sql.Identifier(column.name)
    if KNOWN.get(kind) == "text" and column.form is None:
        return text
    read = column.form.value(text) if column.form else text
    typed = sql.SQL("({})::{}").format(read, sql.SQL(kind))
    # What a type of the table's own takes that nobody here knows, a mark may be too.
    if not column.marked or (column.kind == "text" and kind not in KNOWN):
        return typed
    marks = sql.SQL(", ").join(map(sql.Literal, MISSING))
    return sql.SQL("case when {} not in ({}) then {} end").format(text, marks, typed)
