"""What a report shows, ready to be laid out: the query's answer with its figures taken and its texts filled in.

Danger: a view is a step's result and is read back from JSON, so it holds nothing but JSON's own types.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from string import Template
from typing import Any

import pandas as pd
import psycopg
from pydantic import AwareDatetime

from redrive.blocks.errors import PermanentError
from redrive.blocks.payloads import Payload
from redrive.blocks.warehouse import Warehouse
from redrive.flows.report_pages.definition import Chart, Column, Figure, ReportDefinition, Value
from redrive.flows.report_pages.values import NONE, number, shown

#: Seconds a query may take.
QUERY_LIMIT = 120
#: Rows; more is an export, not a report.
ROWS_LIMIT = 50_000


class ShownFigure(Payload):
    """A headline figure as text."""

    label: str
    value: str
    unit: str = ""
    note: str = ""


class ReportView(Payload):
    """A report's content."""

    name: str
    title: str
    subtitle: str
    as_of: AwareDatetime
    figures: tuple[ShownFigure, ...]
    charts: tuple[Chart, ...]
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    totals: tuple[Value, ...] | None
    notes: tuple[str, ...]
    source: str

    def values(self, name: str) -> list[Value]:
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def column(self, name: str) -> Column:
        """The column's format, also of one that the table does not show."""
        return next((c for c in self.columns if c.name == name), Column(name=name, format="date", decimals=1))

    def cells(self) -> list[list[str]]:
        """The table's texts."""
        places = [(self.names.index(column.name), column) for column in self.columns]
        return [[shown(row[place], column) for place, column in places] for row in self.rows]

    def total_cells(self) -> list[str]:
        """The last line's texts; empty if there is none."""
        if self.totals is None:
            return []
        pairs = zip(self.columns, self.totals, strict=True)
        return ["" if column.total is None else shown(value, column) for column, value in pairs]

    def is_number(self, column: Column) -> bool:
        """Whether a column is set to the right."""
        if column.format not in {"auto", "number", "percent"}:
            return False
        return all(
            v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in self.values(column.name)
        )


def collect(definition: ReportDefinition, warehouse: Warehouse, parameters: dict[str, Any], at: datetime) -> ReportView:
    """Run the query and take the figures.

    Args:
        at: when the report is made.

    Raises:
        PermanentError: the query is wrong, takes too long, answers no rows, or lacks a column the definition names.
    """
    frame = _answer(definition, warehouse, definition.with_parameters(parameters))
    for name in definition.column_names():
        if name not in frame.columns:
            raise PermanentError(
                f"the query of report {definition.name} has no column {name!r}; it has {', '.join(frame.columns)}"
            )
    first = {
        name: shown(value, Column(name=name, format="auto")).replace(",", "") for name, value in _row(frame, 0).items()
    }
    view = ReportView(
        name=definition.name,
        title=Template(definition.title).safe_substitute(first),
        subtitle=Template(definition.subtitle).safe_substitute(first),
        as_of=at.astimezone(UTC),
        figures=(),
        charts=definition.charts,
        columns=definition.columns,
        names=tuple(frame.columns),
        rows=tuple(tuple(_row(frame, n).values()) for n in range(len(frame))),
        totals=_totals(definition, frame),
        notes=tuple(Template(note).safe_substitute(first) for note in definition.notes),
        source=definition.source,
    )
    return view.model_copy(update={"figures": tuple(_figure(figure, frame, view) for figure in definition.figures)})


def _answer(definition: ReportDefinition, warehouse: Warehouse, parameters: dict[str, Any]) -> pd.DataFrame:
    try:
        with warehouse.connect(read_only=True, statement_timeout=QUERY_LIMIT) as connection:
            # Prepared, because the protocol for that takes one statement only: nothing can follow the SELECT.
            cursor = connection.execute(definition.query, parameters or None, prepare=True)
            if cursor.description is None:
                raise PermanentError(f"the query of report {definition.name} answers no rows: it must be one SELECT")
            names = [column.name for column in cursor.description]
            rows = cursor.fetchmany(ROWS_LIMIT + 1)
    except psycopg.errors.QueryCanceled as error:
        raise PermanentError(
            f"the query of report {definition.name} takes more than {QUERY_LIMIT} s: make it lighter"
        ) from error
    except (psycopg.errors.ReadOnlySqlTransaction, psycopg.ProgrammingError, psycopg.errors.DataError) as error:
        said = error.diag.message_primary or " ".join(str(error).split())
        hint = "; run the sync that makes it first" if isinstance(error, psycopg.errors.UndefinedTable) else ""
        raise PermanentError(f"the query of report {definition.name} cannot run: {said}{hint}") from error
    if not rows:
        raise PermanentError(
            f"the query of report {definition.name} found nothing for {parameters or 'its tables'}: check them"
        )
    if len(rows) > ROWS_LIMIT:
        raise PermanentError(
            f"the query of report {definition.name} gives more than {ROWS_LIMIT:,} rows: summarise them"
        )
    return pd.DataFrame([[_json(value) for value in row] for row in rows], columns=names, dtype=object)


def _json(value: Any) -> Value:
    match value:
        case Decimal():
            return float(value)
        case date():
            return value.isoformat()
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _row(frame: pd.DataFrame, place: int) -> dict[str, Value]:
    return {str(name): value for name, value in zip(frame.columns, frame.iloc[place].tolist(), strict=True)}


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    try:
        return frame[name].astype(float)
    except (TypeError, ValueError) as error:
        raise PermanentError(
            f"column {name!r} is to be summed up, but holds {error.args[0]}: it must be numbers"
        ) from error


def _taken(frame: pd.DataFrame, name: str, take: str) -> float | None:
    numbers = _numbers(frame, name)
    match take:
        case "first" | "last":
            value = numbers.iloc[0 if take == "first" else -1]
        case "count":
            value = numbers.count()
        case "sum":
            value = numbers.sum(min_count=1)
        case _:
            value = numbers.agg(take)
    return None if pd.isna(value) else float(value)


def _totals(definition: ReportDefinition, frame: pd.DataFrame) -> tuple[Value, ...] | None:
    if not any(column.total for column in definition.columns):
        return None
    return tuple(_taken(frame, column.name, column.total) if column.total else None for column in definition.columns)


def _figure(figure: Figure, frame: pd.DataFrame, view: ReportView) -> ShownFigure:
    value = _taken(frame, figure.column, figure.take)
    if value is None:
        return ShownFigure(label=figure.label, value=NONE, note=figure.note)
    note = figure.note
    if figure.at and figure.take in {"max", "min"}:
        numbers = _numbers(frame, figure.column)
        place = int(numbers.argmax() if figure.take == "max" else numbers.argmin())
        note = shown(view.values(figure.at)[place], view.column(figure.at))
    elif figure.compare and (usual := _taken(frame, figure.compare, figure.take)):
        note = f"{number((value / usual - 1) * 100, 0, '%', signed=True)} against {number(usual, figure.decimals, figure.unit)}"
    return ShownFigure(label=figure.label, value=number(value, figure.decimals), unit=figure.unit, note=note)
