"""A report as XLSX: real numbers and dates, ready to be calculated with.

Danger: texts stay texts; `strings_to_formulas` is off, so that a value starting with = is not executed by whoever opens it.
"""

from __future__ import annotations

import io
from typing import Any

import xlsxwriter

from redrive.flows.report_pages.definition import Column, Value
from redrive.flows.report_pages.values import day, moment
from redrive.flows.report_pages.view import ReportView

INK, SOFT, RULE = "#16324f", "#5b6876", "#d5dce3"
#: Characters; wider columns push the others out of sight.
WIDEST = 48
#: Rows above the table: title, subtitle, an empty one.
HEADING_ROW = 3


def workbook(view: ReportView) -> bytes:
    """The report as XLSX."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(
        content, {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True, "in_memory": True}
    )
    book.set_properties(
        {"title": view.title, "comments": f"Source: {view.source}", "created": view.as_of.replace(tzinfo=None)}
    )
    font = {"font_name": "Calibri", "font_size": 11}
    sheet = book.add_worksheet("Report")
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, view.title, book.add_format({**font, "bold": True, "font_size": 16, "font_color": INK}))
    sheet.write_string(1, 0, view.subtitle, book.add_format({**font, "font_color": SOFT}))
    heading = {
        **font,
        "bold": True,
        "font_color": INK,
        "bottom": 2,
        "bottom_color": INK,
        "text_wrap": True,
        "valign": "bottom",
    }
    cells = view.cells()
    for place, column in enumerate(view.columns):
        right = {"align": "right"} if view.is_number(column) else {}
        label = f"{column.heading} ({column.unit})" if column.unit else column.heading
        sheet.write_string(HEADING_ROW, place, label, book.add_format({**heading, **right}))
        look = {
            **font,
            "num_format": number_format(column),
            "bottom": 1,
            "bottom_color": RULE,
            "align": "right" if right else "left",
        }
        style = book.add_format(look)
        for number, value in enumerate(view.values(column.name)):
            _write(sheet, HEADING_ROW + 1 + number, place, value, column, style)
        if view.totals is not None:
            bold = book.add_format({**look, "bold": True, "top": 2, "top_color": INK, "bottom": 0})
            _write_total(sheet, view, place, column, bold)
        longest = max([len(label), *(len(row[place]) for row in cells)])
        sheet.set_column(place, place, min(WIDEST, longest + 3))
    sheet.freeze_panes(HEADING_ROW + 1, 1)
    sheet.autofilter(HEADING_ROW, 0, HEADING_ROW + len(view.rows), len(view.columns) - 1)
    sheet.repeat_rows(HEADING_ROW)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    _about(book, view, font)
    book.close()
    return content.getvalue()


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
    digits = f"0.{'0' * column.decimals}" if column.decimals else "0"
    if column.format == "percent":
        return f"{digits}%"
    plain = f"#,##{digits}"
    return f"+{plain};-{plain};{digits}" if column.signed else plain


def _write(sheet: Any, row: int, place: int, value: Value, column: Column, style: Any) -> None:
    when = moment(value) if column.format in {"date", "month", "time"} else None
    if value is None:
        sheet.write_blank(row, place, None, style)
    elif when is not None:
        sheet.write_datetime(row, place, when.replace(tzinfo=None), style)
    elif isinstance(value, bool):
        sheet.write_boolean(row, place, value, style)
    elif isinstance(value, int | float) and column.format != "text":
        sheet.write_number(row, place, value, style)
    else:
        sheet.write_string(row, place, str(value), style)


def _write_total(sheet: Any, view: ReportView, place: int, column: Column, style: Any) -> None:
    first, last = HEADING_ROW + 1, HEADING_ROW + len(view.rows)
    total = view.totals[place] if view.totals else None
    if column.total is None:
        sheet.write_string(last + 1, place, "Total" if place == 0 else "", style)
        return
    name = {"sum": "SUBTOTAL(109,", "mean": "SUBTOTAL(101,"}[column.total]
    letters = xlsxwriter.utility.xl_range(first, place, last, place)
    # SUBTOTAL follows the filter above; the value is for readers that do not calculate.
    sheet.write_formula(last + 1, place, f"={name}{letters})", style, "" if total is None else total)


def _about(book: Any, view: ReportView, font: dict[str, Any]) -> None:
    sheet = book.add_worksheet("About")
    sheet.hide_gridlines(2)
    bold, plain = (
        book.add_format({**font, "bold": True, "font_color": INK, "valign": "top"}),
        book.add_format({**font, "text_wrap": True}),
    )
    lines = [
        ("Report", view.title),
        ("Source", view.source),
        ("Generated", f"{day(view.as_of)}, {view.as_of:%H:%M} UTC"),
    ]
    lines += [
        (
            figure.label,
            " ".join(filter(None, (f"{figure.value} {figure.unit}".strip(), figure.note and f"({figure.note})"))),
        )
        for figure in view.figures
    ]
    lines += [("Note", note) for note in view.notes]
    for number, (label, text) in enumerate(lines):
        sheet.write_string(number, 0, label, bold)
        sheet.write_string(number, 1, text, plain)
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 90)
