"""One number out of a column: its sum, mean, highest and so on, exactly where the numbers are exact."""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import fsum, isnan, nan

from redrive.blocks.core.errors import PermanentError
from redrive.flows.reports.answer import Answer
from redrive.flows.reports.values import PRECISION, exact

Number = int | float | Decimal


def numbers(found: Answer, name: str) -> list[Number | None]:
    """The column's numbers; None where there is none, or where it is "not a number".

    Raises:
        PermanentError: the column holds something else.
    """
    place = found.names.index(name)
    values: list[Number | None] = []
    for row in found.rows:
        value = row[place]
        number = exact(value)
        if number is None and value is not None:
            raise PermanentError(f"column {name!r} is to be summed up, but holds {value!r}: it must be numbers")
        values.append(None if number is None or isnan(number) else number)
    return values


def taken(found: Answer, name: str, take: str) -> Number | None:  # noqa: PLR0911  (one per way)
    """`sum`, `mean`, `max`, `min`, `first`, `last` or `count` of a column; None if it holds nothing."""
    every = numbers(found, name)
    there = [number for number in every if number is not None]
    match take:
        case "count":
            return len(there)
        case "first" | "last":
            return every[0 if take == "first" else -1] if every else None
        case _ if not there:
            return None
        case "sum":
            return _sum(there)
        case "mean":
            total = _sum(there)
            return total / len(there)
        case "max":
            return max(there)
        case _:
            return min(there)


def _sum(values: list[Number]) -> Number:
    if all(isinstance(value, int) for value in values):
        return sum(values)
    if any(isinstance(value, Decimal) for value in values):
        exactly = [Decimal(repr(value)) if isinstance(value, float) else Decimal(value) for value in values]
        if all(value.is_finite() for value in exactly):
            with localcontext(prec=PRECISION):
                return sum(exactly, Decimal(0))
    try:
        return fsum(values)
    except OverflowError:  # more than a double holds
        return sum(float(value) for value in values)
    except ValueError:  # infinity and its opposite
        return nan
