"""A report as one HTML file that needs nothing else: styles and charts are inside.

Danger: autoescape is on; only the SVG of our own charts goes in as it is.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from redrive.flows.report_pages.chart import svg
from redrive.flows.report_pages.values import day
from redrive.flows.report_pages.view import ReportView

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "report"


def page(view: ReportView) -> str:
    """The report as HTML."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return pages.get_template("report.html.j2").render(
        view=view,
        numbers=[view.is_number(column) for column in view.columns],
        charts=[(chart, Markup(svg(chart, view, width=520, height=300))) for chart in view.charts],  # noqa: S704  (ours)
        day=day(view.as_of),
    )
