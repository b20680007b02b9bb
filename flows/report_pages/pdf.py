"""A report as PDF, set by Typst in one page or more.

Danger: `root` confines what the template may read to a private folder; the fonts are ours, so it looks the same everywhere.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import typst

from redrive.flows.report_pages.chart import FONTS, svg
from redrive.flows.report_pages.values import day
from redrive.flows.report_pages.view import ReportView

TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "report" / "report.typ"
#: Pixels of a chart's plot: beside another one, and alone over the whole width.
HALF, WHOLE = (400, 280), (820, 290)


def pdf(view: ReportView) -> bytes:
    """The report as PDF."""
    size = HALF if len(view.charts) > 1 else WHOLE
    with tempfile.TemporaryDirectory(prefix="redrive-report-") as private:
        folder = Path(private)
        charts = []
        for number, chart in enumerate(view.charts, 1):
            alone = len(view.charts) % 2 == 1 and number == len(view.charts)
            width, height = WHOLE if alone else size
            (folder / f"chart-{number}.svg").write_text(svg(chart, view, width=width, height=height), encoding="utf-8")
            charts.append({"title": chart.title, "unit": chart.unit, "file": f"chart-{number}.svg", "alone": alone})
        (folder / "report.json").write_text(json.dumps(_content(view, charts)), encoding="utf-8")
        shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
        made = typst.compile(
            str(folder / TEMPLATE.name), root=private, font_paths=[str(FONTS)], ignore_system_fonts=True
        )
    return bytes(made)


def _content(view: ReportView, charts: list[dict[str, object]]) -> dict[str, object]:
    return {
        "title": view.title,
        "subtitle": view.subtitle,
        "date": day(view.as_of),
        "time": f"{day(view.as_of)}, {view.as_of:%H:%M} UTC",
        "stamp": [view.as_of.year, view.as_of.month, view.as_of.day],
        "figures": [figure.model_dump() for figure in view.figures],
        "charts": charts,
        "headings": [{"label": column.heading, "unit": column.unit} for column in view.columns],
        "numbers": [view.is_number(column) for column in view.columns],
        "rows": view.cells(),
        "totals": view.total_cells(),
        "notes": list(view.notes),
        "source": view.source,
    }
