"""A report as XLSX: real numbers and dates, ready to be calculated with.

Danger: texts stay texts; `strings_to_formulas` is off, so that a value starting with = is not executed by whoever opens it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from math import ceil, isfinite
from typing import Any

import xlsxwriter

from redrive.blocks.core.counted import counted
from redrive.flows.reports.about_sheet import A4, FONT, INK, about
from redrive.flows.reports.answer import DOUBLE_DIGITS
from redrive.flows.reports.definition import Value
from redrive.flows.reports.excel_formats import number_format, power_format
from redrive.flows.reports.sheet import CUT
from redrive.flows.reports.values import DATES, INFINITY, clean, moment
from redrive.flows.reports.view import ReportView

SOFT, RULE = "#5b6876", "#d5dce3"
#: Characters; wider columns push the others out of sight.
WIDEST = 48
#: Characters of a row on a printed page, A4 across: at 60 % of their size they can still be read.
PRINTED = 230
#: Characters of a row that fit on A4 upright in their full size.
UPRIGHT = 94
#: Rows above the table: title, subtitle, an empty one.
HEADING_ROW = 3
#: Points of a line, and of Excel's highest row.
LINE_HEIGHT, HIGHEST = 15.0, 409.0
#: Excel's own limit of a cell.
CELL_LIMIT = 32_767
#: Excel's calendar begins in 1900; earlier dates are texts.
EXCEL_YEAR = 1901
#: Characters of a date with its month written out, and of a power of ten.
DATE_WIDTH, POWER_WIDTH = 18, 12
#: Numbers from here on are shown as powers of ten: with all their digits they are wider than any column, and show as ###.
LONG = 1e21
HEADING = {
    **FONT,
    "bold": True,
    "font_color": INK,
    "bottom": 2,
    "bottom_color": INK,
    "text_wrap": True,
    "valign": "bottom",
}


def workbook(view: ReportView) -> tuple[bytes, tuple[str, ...]]:
    """The report as XLSX, written row by row, and what it had to change, in sentences."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(
        content, {"strings_to_formulas": False, "strings_to_urls": False, "constant_memory": True}
    )
    book.set_properties(
        {"title": view.title, "comments": f"Source: {view.source}", "created": view.as_of.replace(tzinfo=None)}
    )
    sheet = book.add_worksheet("Report")
    sheet.hide_gridlines(2)
    if view.formats.rtl:
        sheet.right_to_left()
    sheet.freeze_panes(HEADING_ROW + 1, 1)
    sheet.repeat_rows(HEADING_ROW)
    sheet.set_paper(A4)
    near = {"align": "right" if view.formats.rtl else "left"}
    sheet.write_string(
        0, 0, clean(view.title), book.add_format({**FONT, "bold": True, "font_size": 16, "font_color": INK, **near})
    )
    if view.subtitle:
        sheet.write_string(1, 0, clean(view.subtitle), book.add_format({**FONT, "font_color": SOFT, **near}))
    written = _Rows(book, sheet, view)
    written.heading()
    written.rows()
    written.totals()
    written.finish()
    message = tuple(written.notices())
    about(book, view, message)
    book.close()
    return content.getvalue(), message


class _Rows:
    """The table, from top to bottom; `constant_memory` keeps one row at a time."""

    def __init__(self, book: Any, sheet: Any, view: ReportView) -> None:
        self._book, self._sheet, self._view = book, sheet, view
        self._places = [view.names.index(column.name) for column in view.columns]
        self._numbers = [view.is_number(column) for column in view.columns]
        self._kinds = [view.number(column.name) for column in view.columns]
        self._labels = [f"{c.heading} ({c.unit})" if c.unit else c.heading for c in view.columns]
        self._formats = [self._format(n) for n in range(len(view.columns))]
        self._longest = [len(label) for label in self._labels]
        self._cut = self._inexact = 0
        #: Columns with numbers written as texts, which no formula would count.
        self._texts: set[int] = set()
        #: By column, how its numbers look as powers of ten.
        self._powers: dict[int, Any] = {}

    def heading(self) -> None:
        for place, label in enumerate(self._labels):
            style = {**HEADING, "align": "right" if self._numbers[place] else self._near()}
            style |= {"indent": 1} if place and not self._numbers[place] else {}
            self._sheet.write_string(HEADING_ROW, place, clean(label), self._book.add_format(style))

    def rows(self) -> None:
        styles = [self._book.add_format(one) for one in self._formats]
        row = HEADING_ROW
        wraps = [at for at, one in zip(self._places, self._formats, strict=True) if "text_wrap" in one]
        for values in self._view.rows:
            row += 1
            if (lines := max((_lines(values[at]) for at in wraps), default=1)) > 1:
                self._sheet.set_row(row, min(HIGHEST, LINE_HEIGHT * lines))
            for place, at in enumerate(self._places):
                self._write(row, place, values[at], styles[place])
        if not self._view.rows:
            self._sheet.write_string(
                row + 1, 0, clean(self._view.nothing), self._book.add_format({**FONT, "italic": True})
            )

    def totals(self) -> None:
        view = self._view
        if view.totals is None:
            return
        first, last = HEADING_ROW + 1, HEADING_ROW + len(view.rows)
        for place, (column, total) in enumerate(zip(view.columns, view.totals, strict=True)):
            form = {**self._formats[place], "bold": True, "top": 2, "top_color": INK, "bottom": 0}
            shown = _excel_number(total)
            if shown is not None and abs(shown) >= LONG:
                form["num_format"] = power_format(column)
            style = self._book.add_format(form)
            if column.total is None:
                self._sheet.write_string(last + 1, place, "Total" if place == 0 else "", style)
                continue
            name = {"sum": "SUBTOTAL(109,", "mean": "SUBTOTAL(101,"}[column.total]
            letters = xlsxwriter.utility.xl_range(first, place, last, place)
            # SUBTOTAL follows the filter above; the value is for readers that do not calculate.
            if shown is None or place in self._texts:
                self._write(last + 1, place, total, style)
            else:
                self._sheet.write_formula(last + 1, place, f"={name}{letters})", style, shown)

    def finish(self) -> None:
        widths = [min(WIDEST, longest + 3) for longest in self._longest]
        for place, width in enumerate(widths):
            self._sheet.set_column(place, place, width)
        # Printed: smaller until it fits, but never too small to be read; then more pages, each with the first column.
        if sum(widths) > UPRIGHT:
            self._sheet.set_landscape()
        pages = ceil(sum(widths) / PRINTED)
        self._sheet.fit_to_pages(pages, 0)
        if pages > 1:
            self._sheet.repeat_columns(0)
        last = HEADING_ROW + max(1, len(self._view.rows))
        self._sheet.autofilter(HEADING_ROW, 0, last, len(self._view.columns) - 1)

    def notices(self) -> Iterator[str]:
        if self._cut:
            yield f"Excel holds {CELL_LIMIT:,} characters in a cell; {counted(self._cut, 'longer text')} cut, with {CUT} at the end."
        if self._inexact:
            yield f"Excel keeps {DOUBLE_DIGITS} digits; written as text: {counted(self._inexact, 'longer, infinite or missing number')}."

    def _format(self, place: int) -> dict[str, Any]:
        column = self._view.columns[place]
        wraps = not self._numbers[place] and column.format in {"auto", "text"}
        return {
            **FONT,
            "num_format": number_format(column),
            "bottom": 1,
            "bottom_color": RULE,
            "valign": "top",
            "align": "right" if self._numbers[place] else self._near(),
            # Apart from a number on its left.
            **({"indent": 1} if place and not self._numbers[place] else {}),
            **({"text_wrap": True} if wraps else {}),
        }

    def _near(self) -> str:
        return "right" if self._view.formats.rtl else "left"

    def _write(self, row: int, place: int, value: Value, style: Any) -> None:
        column, sheet = self._view.columns[place], self._sheet
        if value is None:
            sheet.write_blank(row, place, None, style)
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, place, value, style)
            self._wide(place, 5)
            return
        if column.format in DATES and (when := moment(value)) is not None and when.year >= EXCEL_YEAR:
            sheet.write_datetime(row, place, self._view.formats.local(when).replace(tzinfo=None), style)
            self._wide(place, DATE_WIDTH)
            return
        # A number in a column of dates is none: as one, Excel would show another day, or an error.
        if self._kinds[place] and column.format not in {"text", *DATES}:
            number = _excel_number(value)
            if number is None:
                self._inexact += 1
                self._texts.add(place)
                text = str(value).replace("Infinity", INFINITY).replace("inf", INFINITY)
                sheet.write_string(row, place, text, style)
                self._wide(place, len(text))
            elif abs(number) < LONG:
                sheet.write_number(row, place, number, style)
                self._wide(place, len(f"{number:,.{column.digits}f}"))
            else:
                sheet.write_number(row, place, number, self._power(place))
                self._wide(place, POWER_WIDTH)
            return
        text = clean(str(value))
        if len(text) > CELL_LIMIT:
            self._cut += 1
            text = text[: CELL_LIMIT - 1] + CUT
        sheet.write_string(row, place, text, style)
        self._wide(place, len(text))

    def _power(self, place: int) -> Any:
        if place not in self._powers:
            form = {**self._formats[place], "num_format": power_format(self._view.columns[place])}
            self._powers[place] = self._book.add_format(form)
        return self._powers[place]

    def _wide(self, place: int, characters: int) -> None:
        self._longest[place] = max(self._longest[place], characters)


def _lines(value: Value) -> int:
    """Lines of a text in a column of the greatest width."""
    if not isinstance(value, str) or (len(value) <= WIDEST and "\n" not in value):
        return 1
    return sum(1 + len(line) // (WIDEST - 4) for line in value.split("\n"))


def _excel_number(value: Value) -> float | int | None:
    """The number, if Excel keeps it as it is."""
    return value if isinstance(value, int | float) and isfinite(value) else None
