"""How Excel shows the numbers and dates of a column."""

from __future__ import annotations

from redrive.flows.reports.definition import Column


def power_format(column: Column) -> str:
    """Excel's format of a column's numbers that are too long for their digits."""
    return "+0.00E+00;-0.00E+00" if column.signed else "0.00E+00"


def number_format(column: Column) -> str:
    """Excel's format of a column."""
    match column.format:
        case "month":
            return "mmmm yyyy"
        case "date":
            return "d mmmm yyyy"
        case "time":
            return "d mmmm yyyy hh:mm"
        case "text":
            return "@"
    digits = f"0.{'0' * column.digits}" if column.digits else "0"
    if column.format == "percent":
        return f"{digits}%"
    plain = f"#,##{digits}"
    return f"+{plain};-{plain};{digits}" if column.signed else plain
