"""How values are written for people, by locale and time zone.

Danger: rows travel between steps as JSON, so dates are ISO texts here, and so are numbers that a JSON number would change.
The column's format says which text is a date, the answer's kinds say which is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from functools import cache, lru_cache
from math import isfinite, isinf, isnan
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time

from redrive.flows.reports.definition import Column, Value

#: U+2212, as wide as a plus; and a space that does not break.
MINUS = "\u2212"
SPACE = "\u00a0"
NONE = "–"
INFINITY = "∞"
#: Digits before the decimal mark; longer numbers are written as powers of ten. A double keeps 15.
FLOAT_DIGITS, EXACT_DIGITS = 15, 21
#: Decimals of a column whose definition names none.
MOST_DECIMALS = 6
#: Digits of exact arithmetic, beyond any sum of what is shown.
PRECISION = 60
#: What would break a line, a page or the reading direction of what stands around it; a newline stays.
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Formats:
    """The texts of one locale and time zone: `Formats("de_DE", "Europe/Berlin")`. Digits are 0 to 9 in every locale."""

    locale: str = "en_GB"
    timezone: str = "UTC"

    @property
    def rtl(self) -> bool:
        """Whether the locale is written from right to left."""
        return _locale(self.locale).text_direction == "rtl"

    @property
    def language(self) -> str:
        """`en`, as HTML and PDF name it."""
        return _locale(self.locale).language

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def number(self, value: float | Decimal | str, decimals: int = 0, unit: str = "", *, signed: bool = False) -> str:
        """`1,234.5 mm`, with a true minus; what is too long for a column as a power of ten."""
        amount: float | Decimal = value if not isinstance(value, str) else Decimal(value)
        if isnan(amount):
            return "NaN"
        if isinf(amount):
            text, negative, zero = INFINITY, amount < 0, False
        else:
            bound: int = 10 ** (FLOAT_DIGITS if isinstance(amount, float) else EXACT_DIGITS)
            if not -bound < amount < bound:
                text, negative, zero = self._power(amount), amount < 0, False
            else:
                with localcontext(prec=PRECISION):
                    rounded = _rounded(amount, decimals)
                text, negative, zero = self._grouped(rounded, decimals), rounded < 0, not rounded
        sign = MINUS if negative else "+" if signed and not zero else ""
        return f"{sign}{text}{SPACE}{unit}" if unit else f"{sign}{text}"

    def day(self, value: date) -> str:
        """`24 November 2026`."""
        return _day(self.locale, value.year, value.month, value.day)

    def month(self, value: date, *, short: bool = False) -> str:
        """`November 2026`, or `Nov`."""
        return _month(self.locale, value.year, value.month, short)

    def short_day(self, value: date) -> str:
        """`24 Nov`."""
        return _short_day(self.locale, value.year, value.month, value.day)

    def clock(self, value: datetime) -> str:
        """`14:30`; with the zone's name in the hour that an autumn day has twice."""
        text = _clock(self.locale, value.hour, value.minute)
        if value.tzinfo is None or value.replace(fold=0).utcoffset() == value.replace(fold=1).utcoffset():
            return text
        return f"{text} {value.tzname()}"

    def local(self, value: datetime) -> datetime:
        """A time with a zone in the report's own; one without is the report's already."""
        return value if value.tzinfo is None else value.astimezone(self.zone)

    def stamp(self, value: datetime) -> str:
        """`24 November 2026, 14:30 GMT`."""
        there = self.local(value)
        return f"{self.day(there)}, {_clock(self.locale, there.hour, there.minute)} {there.tzname() or self.timezone}"

    def shown(  # noqa: PLR0911  (one per kind of value)
        self, value: Value, column: Column, *, number: bool = True, short: bool = False
    ) -> str:
        """A cell's text.

        Args:
            number: whether a text in this column is a number.
            short: for axes.
        """
        if value is None:
            return NONE
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str):
            when = moment(value) if column.format in DATES else None
            if when is not None:
                return self._moment(when, column, short=short)
            if not (number and column.format in {"auto", "number", "percent"} and exact(value) is not None):
                return clean(value)
        if column.format == "text":
            return str(value)
        if column.format == "percent":
            share = value * 100 if not isinstance(value, str) else Decimal(value) * 100
            return self.number(share, column.digits, "%", signed=column.signed)
        return self.number(value, column.digits, signed=column.signed)

    def _moment(self, when: datetime, column: Column, *, short: bool) -> str:
        there = self.local(when)
        match column.format:
            case "month":
                return self.month(there, short=short)
            case "time":
                return f"{self.short_day(there) if short else self.day(there)}, {self.clock(there)}"
            case _:
                return self.short_day(there) if short else self.day(there)

    def _grouped(self, value: float | Decimal, decimals: int) -> str:
        group, mark, small = _marks(self.locale)
        whole, _, fraction = f"{abs(value):,.{decimals}f}".partition(".")
        if small != 3:  # noqa: PLR2004  (India groups by two above the thousands)
            digits = whole.replace(",", "")
            head, tail = digits[:-3], digits[-3:]
            pairs = [head[max(0, end - small) : end] for end in range(len(head), 0, -small)][::-1]
            whole = ",".join([*pairs, tail])
        whole = whole.replace(",", group)
        return f"{whole}{mark}{fraction}" if fraction else whole

    def _power(self, value: float | Decimal) -> str:
        _, mark, _ = _marks(self.locale)
        exact_value = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        mantissa, _, exponent = f"{abs(exact_value):e}".partition("e")
        head, _, tail = mantissa.partition(".")
        tail = tail.rstrip("0")[:FLOAT_DIGITS]
        shown = f"{head}{mark}{tail}" if tail else head
        return f"{shown}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def _rounded(amount: float | Decimal, decimals: int) -> Decimal:
    """Halves go away from zero, as they do in a spreadsheet and in what people were taught: 284.5 mm are 285 mm."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(float(amount)))
    return exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def decimals_of(values: Iterable[Value], *, percent: bool) -> int:
    """How many decimals show all of the numbers as they are, six at most."""
    most = 0
    for value in values:
        number = None if isinstance(value, int) and not percent else exact(value)
        if number is None or not isfinite(number):
            continue
        written = f"{number * 100 if percent else number:.{MOST_DECIMALS}f}"
        most = max(most, len(written.rstrip("0").partition(".")[2]))
        if most == MOST_DECIMALS:
            break
    return most


DATES = frozenset({"date", "month", "time"})


def exact(value: Value) -> Decimal | float | None:
    """The number of a value, exactly; None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            return Decimal(value)
        except InvalidOperation:
            return None
    return value


def moment(value: Value) -> datetime | None:
    """The date or time of an ISO text."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def clean(text: str) -> str:
    """The text without what would disturb its surroundings; `�` stands where something was."""
    return text if text.isprintable() else _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\t", "  "))


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name.replace("-", "_"))


@cache
def _marks(name: str) -> tuple[str, str, int]:
    """Group mark, decimal mark, and how many digits a group above the thousands has."""
    locale = _locale(name)
    symbols = locale.number_symbols.get("latn") or next(iter(locale.number_symbols.values()))
    grouping = locale.decimal_formats[None].grouping
    # Fonts have the wide one of the two spaces that do not break.
    return symbols["group"].replace("\u202f", SPACE), symbols["decimal"], grouping[1] or 3


@lru_cache(maxsize=4096)
def _day(name: str, year: int, month: int, day: int) -> str:
    return format_date(date(year, month, day), "long", locale=_locale(name))


@lru_cache(maxsize=4096)
def _short_day(name: str, year: int, month: int, day: int) -> str:
    return format_skeleton("MMMd", date(year, month, day), locale=_locale(name))


@lru_cache(maxsize=4096)
def _month(name: str, year: int, month: int, short: bool) -> str:  # noqa: FBT001  (a cache's key)
    if short:
        return format_date(date(year, month, 1), "LLL", locale=_locale(name))
    return format_skeleton("yMMMM", date(year, month, 1), locale=_locale(name))


@lru_cache(maxsize=4096)
def _clock(name: str, hour: int, minute: int) -> str:
    return format_time(time(hour, minute), "short", locale=_locale(name)).replace("\u202f", SPACE)
