"""Which type fits a column of text values, and whether it fits the type the table has.

Danger: inference sees what came so far. A column of whole numbers that later holds 1.5 no longer fits, and is refused with
the statement that widens it, never rounded or turned into text behind anybody's back.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd

ColumnType = Literal["bigint", "numeric", "double precision", "boolean", "date", "timestamp", "timestamptz", "text"]

#: Texts that mean "no value" in a column that is otherwise numbers, dates or booleans.
MISSING = frozenset({"NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-"})

_DATE = r"\d{4}([-/])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
_TIME = r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
#: A number with leading zeros is an identifier (a postcode, an article), so it stays text.
_PATTERNS: dict[ColumnType, str] = {
    "bigint": r"-?(?:0|[1-9]\d{0,17})",
    "numeric": r"-?(?:0|[1-9]\d*)",
    "double precision": r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?",
    "boolean": r"true|false|True|False|TRUE|FALSE",
    "date": _DATE,
    "timestamp": rf"{_DATE}(?:{_TIME})?",
    "timestamptz": rf"{_DATE}{_TIME}(?:Z| ?[+-]\d\d:?\d\d)",
}
_NARROWEST_FIRST: tuple[ColumnType, ...] = tuple(_PATTERNS)

#: What each type takes without loss.
_TAKES: dict[ColumnType, frozenset[ColumnType]] = {
    "bigint": frozenset({"bigint"}),
    "numeric": frozenset({"bigint", "numeric", "double precision"}),
    "double precision": frozenset({"bigint", "double precision"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    "timestamp": frozenset({"date", "timestamp"}),
    "timestamptz": frozenset({"timestamptz"}),
    "text": frozenset({"text", *_NARROWEST_FIRST}),
}

#: PostgreSQL's names for types of an existing table, by what they take. Others are left to the database to judge.
KNOWN: dict[str, ColumnType] = {
    "bigint": "bigint",
    "integer": "bigint",
    "smallint": "bigint",
    "numeric": "numeric",
    "double precision": "double precision",
    "real": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "text": "text",
    "character varying": "text",
}


class Inference:
    """The type of one column, narrowed chunk by chunk."""

    def __init__(self) -> None:
        self._possible = list(_NARROWEST_FIRST)
        self._seen = False
        self._marks = False

    def see(self, values: pd.Series[str]) -> None:
        """Take a chunk's values of the column into account."""
        present = values.dropna()
        marked = present.isin(MISSING)
        self._marks = self._marks or bool(marked.any())
        present = present[~marked].drop_duplicates()
        if present.empty:
            return
        self._seen = True
        texts = present.astype(str).str
        self._possible = [kind for kind in self._possible if texts.fullmatch(_PATTERNS[kind]).all()]

    @property
    def type(self) -> ColumnType:
        """The narrowest type that takes all values; text for a column without any."""
        return self._possible[0] if self._seen and self._possible else "text"

    @property
    def empty(self) -> bool:
        """Whether no value was seen, so that every type fits."""
        return not self._seen and not self._marks


def fits(found: ColumnType, existing: str) -> bool:
    """Whether values of type `found` can go into a column of PostgreSQL's type `existing`."""
    known = KNOWN.get(existing)
    return known is None or found in _TAKES[known]


def unfit_example(values: pd.Series[str], existing: str) -> str | None:
    """The first value that a column of that type cannot take."""
    known = KNOWN.get(existing)
    if known is None or known == "text":
        return None
    present = values.dropna()
    present = present[~present.isin(MISSING)].astype(str)
    patterns = "|".join(
        f"(?:{_PATTERNS[kind].replace(chr(92) + '1', '[-/]')})" for kind in _TAKES[known] if kind in _PATTERNS
    )
    wrong = present[~present.str.fullmatch(patterns)]
    return None if wrong.empty else str(wrong.iloc[0])


def prepared(values: pd.Series[str], kind: str) -> pd.Series[str]:
    """Values as the database takes them: marks for "missing" become None, except in a text."""
    if KNOWN.get(kind, "text") == "text":
        return values
    return values.mask(values.isin(MISSING), None)
