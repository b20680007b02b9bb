"""The second sheet of a report's workbook: what it is, where it comes from, its headline figures and notes."""

from __future__ import annotations

from typing import Any

from redrive.flows.reports.values import clean
from redrive.flows.reports.view import ReportView

#: Excel's number of the paper.
A4 = 9
INK = "#16324f"
FONT = {"font_name": "Calibri", "font_size": 11}


def about(book: Any, view: ReportView, message: tuple[str, ...]) -> None:
    """Add the sheet; `said` is what the workbook had to change."""
    sheet = book.add_worksheet("About")
    sheet.hide_gridlines(2)
    bold, plain = (
        book.add_format({**FONT, "bold": True, "font_color": INK, "valign": "top"}),
        book.add_format({**FONT, "text_wrap": True}),
    )
    lines = [
        ("Report", view.title),
        ("Source", view.source),
        ("Generated", view.formats.stamp(view.as_of)),
        ("Time zone", view.timezone),
    ]
    lines += [
        (
            figure.label,
            " ".join(filter(None, (f"{figure.value} {figure.unit}".strip(), figure.note and f"({figure.note})"))),
        )
        for figure in view.figures
    ]
    lines += [("Note", note) for note in (*view.notes, *message)]
    for number, (label, text) in enumerate(lines):
        sheet.write_string(number, 0, clean(label), bold)
        sheet.write_string(number, 1, clean(text), plain)
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 90)
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
