"""A query's answer: names, kinds and rows, read with a cursor on the server so that memory stays bounded.

Danger: what is kept is JSON. A number that a JSON number would change (more than 15 digits, infinite, not a number) is kept
as its text, and `kinds` says that it is a number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, Literal

import psycopg
from psycopg.types.string import TextLoader

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.warehouse import Warehouse
from redrive.flows.reports.definition import ReportDefinition, Value

#: Seconds a query may take.
QUERY_LIMIT = 120
#: Rows; more is an export, not a report.
ROWS_LIMIT = 50_000
#: Characters of all values together, which bounds the memory of every step.
TEXT_LIMIT = 50_000_000
#: Rows that travel at once.
FETCH = 2_000
#: A double keeps this many digits.
DOUBLE_DIGITS = 15

Kind = Literal["number", "text"]
#: PostgreSQL's own numbers of its types int8, int2, int4, oid, float4, float8 and numeric.
_NUMBERS = frozenset({20, 21, 23, 26, 700, 701, 1700})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query found."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rows: tuple[tuple[Value, ...], ...]


def answer(definition: ReportDefinition, warehouse: Warehouse, parameters: dict[str, Any]) -> Answer:
    """Run the definition's query.

    Raises:
        PermanentError: the query is wrong, takes too long or finds too much.
    """
    rows: list[tuple[Value, ...]] = []
    size = 0
    try:
        with warehouse.connect(read_only=True, statement_timeout=QUERY_LIMIT) as connection:
            connection.execute("select set_config('timezone', %s, true)", [definition.timezone])
            with connection.cursor(name="report") as cursor:
                # DECLARE takes one SELECT only: nothing can follow it.
                for kind in ("json", "jsonb"):
                    # As text: read as values, its decimals would be rounded.
                    cursor.adapters.register_loader(kind, TextLoader)
                cursor.execute(definition.query, parameters or None)
                names, kinds = _heading(cursor, definition)
                while part := cursor.fetchmany(FETCH):
                    for row in part:
                        values = tuple(kept(value) for value in row)
                        size += sum(len(value) for value in values if isinstance(value, str))
                        rows.append(values)
                    if len(rows) > ROWS_LIMIT:
                        raise PermanentError(
                            f"the query of report {definition.name} gives more than {ROWS_LIMIT:,} rows: summarise them"
                        )
                    if size > TEXT_LIMIT:
                        raise PermanentError(
                            f"the query of report {definition.name} gives more than {TEXT_LIMIT // 1_000_000} million "
                            "characters: shorten its texts"
                        )
    except psycopg.errors.QueryCanceled as error:
        raise PermanentError(
            f"the query of report {definition.name} takes more than {QUERY_LIMIT} s: make it lighter"
        ) from error
    except (
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.NotSupportedError,
        psycopg.ProgrammingError,
        psycopg.DataError,
    ) as error:
        message = error.diag.message_primary or " ".join(str(error).split())
        hint = "; run the sync that makes it first" if isinstance(error, psycopg.errors.UndefinedTable) else ""
        raise PermanentError(f"the query of report {definition.name} cannot run: {message}{hint}") from error
    return Answer(names=names, kinds=kinds, rows=tuple(rows))


def _heading(
    cursor: psycopg.ServerCursor[Any], definition: ReportDefinition
) -> tuple[tuple[str, ...], tuple[Kind, ...]]:
    described = cursor.description
    if not described:
        raise PermanentError(f"the query of report {definition.name} answers no columns: it must be one SELECT")
    kinds: tuple[Kind, ...] = tuple("number" if column.type_code in _NUMBERS else "text" for column in described)
    return _unique([column.name for column in described]), kinds


def _unique(names: list[str]) -> tuple[str, ...]:
    """The names, the second `x` as `x_2`."""
    found: list[str] = []
    for name in names:
        wanted, place = name, 2
        while wanted in found or (name in found and wanted in names):
            wanted, place = f"{name}_{place}", place + 1
        found.append(wanted)
    return tuple(found)


def kept(value: Any) -> Value:  # noqa: PLR0911  (one per type)
    """A value as it travels: JSON, and a number that JSON would change as its text."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) < 10**DOUBLE_DIGITS else str(value)
        case float():
            return value if isfinite(value) else str(value)
        case Decimal():
            return _number(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)


def _number(value: Decimal) -> Value:
    if not value.is_finite() or len(value.as_tuple().digits) > DOUBLE_DIGITS:
        return str(value)
    return float(value)
