"""What a report shows, ready to be laid out: the query's answer with its figures taken and its texts filled in.

Danger: a view is a step's result and is read back from JSON, so it holds nothing but JSON's own types.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from string import Template
from typing import Any

from pydantic import AwareDatetime

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.payloads import Payload
from redrive.blocks.warehouse import Warehouse
from redrive.flows.reports.answer import Answer, Kind, answer, kept
from redrive.flows.reports.definition import Chart, Column, Figure, ReportDefinition, Value
from redrive.flows.reports.taken import numbers, taken
from redrive.flows.reports.values import DATES, NONE, Formats, decimals_of


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
    kinds: tuple[Kind, ...]
    rows: tuple[tuple[Value, ...], ...]
    totals: tuple[Value, ...] | None
    notes: tuple[str, ...]
    source: str
    locale: str = "en_GB"
    timezone: str = "UTC"
    nothing: str = ""

    @cached_property
    def formats(self) -> Formats:
        return Formats(self.locale, self.timezone)

    def values(self, name: str) -> list[Value]:
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def column(self, name: str) -> Column:
        """The column's format, also of one that the table does not show."""
        return next((c for c in self.columns if c.name == name), Column(name=name, format="date", decimals=1))

    def number(self, name: str) -> bool:
        """Whether the query's column holds numbers."""
        return self.kinds[self.names.index(name)] == "number"

    def cells(self) -> Iterator[list[str]]:
        """The table's texts, row by row."""
        places = [(self.names.index(c.name), c, self.number(c.name)) for c in self.columns]
        shown = self.formats.shown
        for row in self.rows:
            yield [shown(row[place], column, number=number) for place, column, number in places]

    def total_cells(self) -> list[str]:
        """The last line's texts; empty if there is none."""
        if self.totals is None:
            return []
        pairs = zip(self.columns, self.totals, strict=True)
        cells = ["" if column.total is None else self.formats.shown(value, column) for column, value in pairs]
        return ["Total" if not cells[0] else cells[0], *cells[1:]]

    def is_number(self, column: Column) -> bool:
        """Whether a column is set to the right."""
        return column.format in {"auto", "number", "percent"} and self.number(column.name)


def collect(definition: ReportDefinition, warehouse: Warehouse, parameters: dict[str, Any], at: datetime) -> ReportView:
    """Run the query and take the figures.

    Args:
        at: when the report is made.

    Raises:
        PermanentError: the query is wrong, takes too long, finds nothing though the definition wants an error then, or lacks
            a column the definition names.
    """
    given = definition.with_parameters(parameters)
    found = answer(definition, warehouse, given)
    for name in definition.column_names():
        if name not in found.names:
            raise PermanentError(
                f"the query of report {definition.name} has no column {name!r}; it has {', '.join(found.names)}"
            )
    nothing = "" if found.rows else _nothing(given)
    if nothing and definition.empty == "error":
        raise PermanentError(f"the query of report {definition.name} found nothing ({nothing}): check them")
    texts = _texts(definition, found, given)
    view = ReportView(
        name=definition.name,
        title=Template(definition.title).safe_substitute(texts),
        subtitle=Template(definition.subtitle).safe_substitute(texts),
        as_of=at.astimezone(UTC),
        figures=(),
        charts=definition.charts if found.rows else (),
        columns=tuple(_with_decimals(column, found) for column in definition.columns),
        names=found.names,
        kinds=found.kinds,
        rows=found.rows,
        totals=_totals(definition, found),
        notes=tuple(Template(note).safe_substitute(texts) for note in definition.notes),
        source=definition.source,
        locale=definition.locale,
        timezone=definition.timezone,
        nothing=nothing,
    )
    return view.model_copy(update={"figures": tuple(_figure(figure, found, view) for figure in definition.figures)})


def _with_decimals(column: Column, found: Answer) -> Column:
    place = found.names.index(column.name)
    if column.decimals is not None or column.format in {"text", *DATES} or found.kinds[place] != "number":
        return column
    values = (row[place] for row in found.rows)
    return column.model_copy(update={"decimals": decimals_of(values, percent=column.format == "percent")})


def _nothing(parameters: dict[str, Value]) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in parameters.items() if value is not None)
    return f"Nothing was found for {chosen}." if chosen else "Nothing was found."


def _texts(definition: ReportDefinition, found: Answer, parameters: dict[str, Value]) -> dict[str, str]:
    """What `$column` stands for in titles and notes."""
    formats = Formats(definition.locale, definition.timezone)
    known = dict.fromkeys(found.names, NONE) | {
        name: str(value) for name, value in parameters.items() if value is not None and not found.rows
    }
    if found.rows:
        for name, value in zip(found.names, found.rows[0], strict=True):
            # A year is no amount: numbers stand without group marks.
            whole = isinstance(value, int) and not isinstance(value, bool)
            known[name] = str(value) if whole else formats.shown(value, Column(name=name, format="auto"), number=False)
    return known


def _totals(definition: ReportDefinition, found: Answer) -> tuple[Value, ...] | None:
    if not found.rows or not any(column.total for column in definition.columns):
        return None
    return tuple(kept(taken(found, c.name, c.total)) if c.total else None for c in definition.columns)


def _figure(figure: Figure, found: Answer, view: ReportView) -> ShownFigure:
    formats = view.formats
    value = taken(found, figure.column, figure.take)
    if value is None:
        return ShownFigure(label=figure.label, value=NONE, note=figure.note)
    note = figure.note
    if figure.at and figure.take in {"max", "min"}:
        place = next(n for n, number in enumerate(numbers(found, figure.column)) if number == value)
        note = formats.shown(view.values(figure.at)[place], view.column(figure.at), number=view.number(figure.at))
    elif figure.compare and (usual := taken(found, figure.compare, figure.take)):
        # Against the size of the usual value: two degrees above four below zero are more, not less.
        share = formats.number((float(value) - float(usual)) / abs(float(usual)) * 100, 0, "%", signed=True)
        note = f"{share} against {formats.number(usual, figure.decimals, figure.unit)}"
    return ShownFigure(label=figure.label, value=formats.number(value, figure.decimals), unit=figure.unit, note=note)
