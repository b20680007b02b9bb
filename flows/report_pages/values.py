"""How values are written for people.

Danger: rows travel between steps as JSON, so dates are ISO texts here; the column's format says which text is a date.
"""

from __future__ import annotations

from datetime import date, datetime
from math import isfinite

from redrive.flows.report_pages.definition import Column, Value

#: U+2212, as wide as a plus; and a space that does not break.
MINUS = "\u2212"
SPACE = "\u00a0"
NONE = "–"


def number(value: float, decimals: int = 0, unit: str = "", *, signed: bool = False) -> str:
    """`1,234.5 mm`, with a true minus."""
    rounded = round(value, decimals)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    text = f"{sign}{abs(rounded):,.{decimals}f}"
    return f"{text}{SPACE}{unit}" if unit else text


def moment(value: Value) -> datetime | None:
    """The date or time of an ISO text."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def day(value: date) -> str:
    """`24 November 2026`."""
    return f"{value.day} {value:%B %Y}"


def shown(value: Value, column: Column, *, short: bool = False) -> str:  # noqa: PLR0911  (one per kind of value)
    """A cell's text; `short` for axes."""
    when = moment(value) if column.format in {"date", "month", "time"} else None
    if when is not None:
        match column.format:
            case "month":
                return f"{when:%b}" if short else f"{when:%B %Y}"
            case "time":
                return f"{day(when)}, {when:%H:%M}"
            case _:
                return f"{when.day} {when:%b}" if short else day(when)
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and column.format != "text":
        if column.format == "percent":
            return number(value * 100, column.decimals, "%", signed=column.signed)
        return number(value, column.decimals, signed=column.signed)
    return str(value)
