"""How a column writes its values, declared by whoever defines a sync: decimal comma, day-first dates, yes and no."""

from __future__ import annotations

import re
from typing import Literal, Self

from psycopg import sql
from pydantic import BaseModel, ConfigDict, Field, model_validator

ColumnType = Literal["bigint", "numeric", "double precision", "boolean", "date", "timestamp", "timestamptz", "text"]

_NUMBERS = {"bigint", "numeric", "double precision"}
_DATES = {"date", "timestamp", "timestamptz"}
_TIME = r"[T ](?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"\d{4}"
_ORDERS = {"ymd": (_YEAR, _MONTH, _DAY), "dmy": (_DAY, _MONTH, _YEAR), "mdy": (_MONTH, _DAY, _YEAR)}
#: Where year, month and day are found among the three numbers of a date.
_PLACES = {"ymd": r"\1-\2-\3", "dmy": r"\3-\2-\1", "mdy": r"\3-\1-\2"}


class ColumnFormat(BaseModel):
    """The declared type of a column and how its values are written.

    A value of another form fails the job and is named with its row; it is never guessed at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ColumnType = Field(description="PostgreSQL's type of the column.")
    decimal: Literal[".", ","] = Field(".", description="What stands before the decimals of a number.")
    thousands: Literal["", ".", ",", "'", " "] = Field("", description="What may stand between thousands.")
    order: Literal["ymd", "dmy", "mdy"] = Field("ymd", description="Order of year, month and day in a date.")
    true: tuple[str, ...] = Field(("true",), min_length=1, description="Words for true, in any case.")
    false: tuple[str, ...] = Field(("false",), min_length=1, description="Words for false, in any case.")

    @model_validator(mode="after")
    def _of_its_type(self) -> Self:
        given = self.model_fields_set
        for names, types in (
            ({"decimal", "thousands"}, _NUMBERS),
            ({"order"}, _DATES),
            ({"true", "false"}, {"boolean"}),
        ):
            if (wrong := sorted(given & names)) and self.type not in types:
                raise ValueError(f"{wrong[0]} is for {', '.join(sorted(types))}, and this column is {self.type}")
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands cannot be the same character")
        words = [word.casefold() for word in (*self.true, *self.false)]
        if len(set(words)) < len(words) or not all(word.strip() for word in words):
            raise ValueError("true and false need words of their own")
        return self

    def __str__(self) -> str:
        written = {
            name: getattr(self, name)
            for name in ("decimal", "thousands", "order", "true", "false")
            if name in self.model_fields_set
        }
        return f"{self.type}{f' with {written}' if written else ''}"

    @property
    def pattern(self) -> str:
        """What its values look like, without groups."""
        if self.type == "text":
            return r"(?s:.*)"
        if self.type == "boolean":
            return f"(?i:{'|'.join(map(re.escape, (*self.true, *self.false)))})"
        if self.type in _NUMBERS:
            whole = r"\d+"
            if self.thousands:
                whole = rf"(?:\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+|\d+)"
            if self.type == "bigint":
                return rf"[-+]?{whole}"
            point = re.escape(self.decimal)
            return rf"[-+]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][-+]?\d{{1,3}})?"
        date = r"[-./]".join(_ORDERS[self.order])
        if self.type == "date":
            return date
        zone = r"(?:Z| ?[-+]\d\d:?\d\d)" if self.type == "timestamptz" else ""
        return f"{date}{_TIME}{zone}" if zone else f"{date}(?:{_TIME})?"

    def value(self, column: sql.Composable) -> sql.Composable:
        """SQL that turns the column's text into what PostgreSQL reads as its type."""
        if self.type == "boolean":
            words = sql.SQL(", ").join(sql.Literal(word.lower()) for word in self.true)
            return sql.SQL("lower({}) in ({})").format(column, words)
        if self.type in _NUMBERS and (self.thousands or self.decimal != "."):
            plain = (
                sql.SQL("replace({}, {}, '')").format(column, sql.Literal(self.thousands)) if self.thousands else column
            )
            return sql.SQL("replace({}, {}, '.')").format(plain, sql.Literal(self.decimal))
        if self.type in _DATES and "order" in self.model_fields_set:
            return sql.SQL("regexp_replace({}, {}, {})").format(
                column,
                sql.Literal(r"^(\d{1,4})[-./](\d{1,2})[-./](\d{1,4})"),
                sql.Literal(_PLACES[self.order]),
            )
        return column
