"""Which type fits a column of text values, and whether it fits the type the table has.

Danger: a column's type is told from every value of the source. A column of whole numbers that later holds 1.5 no longer fits
its table, and is refused with the statement that widens it, never rounded or turned into text behind anybody's back.
"""

from __future__ import annotations

import re
from typing import Literal

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.table.column_format import ColumnFormat, ColumnType

#: "whole" is a number too large for bigint; its column is numeric.
Kind = Literal["bigint", "whole", "numeric", "double precision", "boolean", "date", "timestamp", "timestamptz", "text"]

#: Texts that mean "no value" in a column that is otherwise numbers, dates or booleans.
MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
_MISSING = frozenset(MISSING)
_MARKS = "|".join(map(re.escape, MISSING))

# Without groups that are kept and references, so that PostgreSQL and a pattern of a whole row take them too.
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DATE = rf"\d{{4}}(?:-{_MONTH}-{_DAY}|/{_MONTH}/{_DAY})"
#: What a column that holds numbers anyway can take.
_NUMBER = r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_TIME = r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
#: A number with leading zeros is an identifier (a postcode, an article), so it stays text; so do a plus before whole digits (a
#: telephone) and an E between digits without sign or point (12E4: an article too), which no program writes for a number.
PATTERNS: dict[Kind, str] = {
    "bigint": r"-?(?:0|[1-9]\d{0,17})",
    "whole": r"-?(?:0|[1-9]\d*)",
    "numeric": r"(?:(?:\+(?=\d+(?:\.|[eE][-+]))|-)?(?:0|[1-9]\d*)(?:\.\d*(?:[eE][-+]?\d{1,3})?|[eE][-+]\d{1,3})?"
    r"|[-+]?\.\d+(?:[eE][-+]?\d{1,3})?)",
    "boolean": r"(?:true|false|True|False|TRUE|FALSE)",
    "date": _DATE,
    "timestamp": rf"{_DATE}(?:{_TIME})?",
    "timestamptz": rf"{_DATE}{_TIME}(?:Z| ?[-+]\d\d:?\d\d)",
}
#: Each pattern takes what those before it in its family take, so the first that fits all values is the narrowest.
_NARROWEST_FIRST: tuple[Kind, ...] = tuple(PATTERNS)
_COMPILED = {kind: re.compile(pattern, re.ASCII) for kind, pattern in PATTERNS.items()}

#: What each type takes without loss. A table of an older sync may have decimals as double precision: that stays.
_TAKES: dict[ColumnType, frozenset[Kind]] = {
    "bigint": frozenset({"bigint"}),
    "numeric": frozenset({"bigint", "whole", "numeric"}),
    "double precision": frozenset({"bigint", "numeric", "double precision"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    "timestamp": frozenset({"date", "timestamp"}),
    "timestamptz": frozenset({"timestamptz"}),
    "text": frozenset({"text", "double precision", *_NARROWEST_FIRST}),
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


class Column:
    """What the values of one column have in common, narrowed value by value."""

    def __init__(self, name: str, form: ColumnFormat | None = None) -> None:
        self.name = name
        self.form = form
        self.marked = False
        #: The line and value that made text of a column whose values before fitted a narrower type.
        self.fallen: tuple[int, str, Kind] | None = None
        self._possible = list(_NARROWEST_FIRST)
        self._seen = False
        ascii_only = re.ASCII if form and form.type != "boolean" else re.NOFLAG
        self._declared = re.compile(form.pattern, ascii_only) if form else None

    def see(self, value: str | None, line: int = 0) -> None:
        """Take a value into account.

        Raises:
            PermanentError: it does not have the declared form.
        """
        if value is None:
            return
        if value in _MISSING and (self.form is None or self.form.type != "text"):
            self.marked = True
            return
        if self._declared:
            self._seen = True
            if not self._declared.fullmatch(value):
                raise PermanentError(
                    f"column {self.name!r} holds {value[:60]!r} in line {line:,}, which is no {self.form}: correct it, or the "
                    "column's format in the parameter columns"
                )
            return
        before = self._possible[0] if self._seen and self._possible else None
        self._seen = True
        self._possible = [kind for kind in self._possible if _COMPILED[kind].fullmatch(value)]
        if before and not self._possible:
            self.fallen = (line, value, before)

    @property
    def kind(self) -> Kind:
        """The narrowest kind that takes all values; text for a column without any."""
        if self.form:
            return self.form.type
        return self._possible[0] if self._seen and self._possible else "text"

    @property
    def type(self) -> ColumnType:
        """PostgreSQL's type for a new column."""
        kind = self.kind
        return "numeric" if kind == "whole" else kind

    @property
    def empty(self) -> bool:
        """Whether no value was seen, so that every type fits."""
        return not self._seen and not self.marked

    @property
    def pattern(self) -> str | None:
        """What a further value may look like without telling anything new; None: anything. Never takes an empty text."""
        if self.form:
            told = None if self.form.type == "text" else self.form.pattern
        elif not self._seen:
            told = r"(?!)"
        else:
            told = PATTERNS[self._possible[0]] if self._possible else None
        return f"(?:{_MARKS}|{told})" if told and self.marked else told


def fits(found: Kind, existing: str) -> bool:
    """Whether values of kind `found` can go into a column of PostgreSQL's type `existing`."""
    known = KNOWN.get(existing)
    return known is None or found in _TAKES[known]


def fitting(existing: str) -> str | None:
    """A pattern of all texts that a column of that type can take; None: any, or the database must judge."""
    known = KNOWN.get(existing)
    if known is None or known == "text":
        return None
    if known in {"numeric", "double precision"}:
        return _NUMBER
    return "|".join(f"(?:{PATTERNS[kind]})" for kind in sorted(_TAKES[known]) if kind in PATTERNS)
