"""A report as one HTML file that needs nothing else: styles, fonts and charts are inside.

Danger: autoescape is on; only the SVG and the CSS of our own go in as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from redrive.flows.reports.chart import Drawn, charts_of
from redrive.flows.reports.fonts import stack, style
from redrive.flows.reports.legend import swatch
from redrive.flows.reports.values import clean
from redrive.flows.reports.view import ReportView

TEMPLATES = Path(__file__).resolve().parent / "templates"
#: Pixels of a chart on a wide screen, beside another or alone, and on a phone.
HALF, WHOLE, PHONE = (520, 290), (1060, 300), (345, 240)
#: Characters up to which a text stays in one line, even on a phone.
NARROWEST = 22
#: Characters of a row from which a table is as wide as the page, and below charts; a smaller one would have its columns torn apart.
FULL, FULL_BELOW_CHARTS = 60, 30
#: Between two columns, in characters.
GAP = 3


def page(view: ReportView) -> str:
    """The report as HTML."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    wide = charts_of(view, lambda alone: WHOLE if alone else HALF)
    narrow = charts_of(view, lambda _: PHONE)
    longest = _longest(view)
    rows = "\n".join(_rows(view, longest))
    head = pages.get_template("report.html.j2").render(
        view=view,
        clean=clean,
        numbers=[view.is_number(column) for column in view.columns],
        least=[min(NARROWEST, long) if _wraps(view, at) else 0 for at, long in enumerate(longest)],
        full=sum(longest) + GAP * len(longest) >= (FULL_BELOW_CHARTS if view.charts else FULL),
        charts=[
            (chart, _picture(chart, "wide"), _picture(small, "narrow"))
            for chart, small in zip(wide, narrow, strict=True)
        ],
        swatch=lambda series: Markup(swatch(series)),  # noqa: S704  (ours)
        day=view.formats.day(view.formats.local(view.as_of)),
        rows=Markup(rows),  # noqa: S704  (escaped below)
        stack=Markup(stack()),  # noqa: S704  (ours)
        fonts=Markup("/*fonts*/"),
    )
    # The page's own characters say which part of the fonts it needs.
    return head.replace("/*fonts*/", style([head, *_chart_texts(wide)]), 1)


def _picture(chart: Drawn, kind: str) -> Markup:
    return Markup(chart.svg.replace("<svg ", f'<svg class="{kind}" ', 1))  # noqa: S704  (ours)


def _rows(view: ReportView, longest: list[int]) -> Iterator[str]:
    classes = [_class(view, at, long) for at, long in enumerate(longest)]
    for row in view.cells():
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(classes, row, strict=True))
        yield f"<tr>{cells}</tr>"


def _longest(view: ReportView) -> list[int]:
    """Characters of each column's longest value."""
    longest = [len(column.heading) for column in view.columns]
    for row in view.cells():
        longest = [max(pair) for pair in zip(longest, map(len, row), strict=True)]
    return longest


def _wraps(view: ReportView, at: int) -> bool:
    """Whether it is a column of texts, which may be broken."""
    return view.columns[at].format in {"auto", "text"} and not view.is_number(view.columns[at])


def _class(view: ReportView, at: int, longest: int) -> str:
    if view.is_number(view.columns[at]):
        return ' class="n"'
    if not _wraps(view, at):
        return ""
    return f' class="t{" s" if longest <= NARROWEST else ""}" dir="auto"'


def _chart_texts(charts: list[Drawn]) -> Iterator[str]:
    for chart in charts:
        yield chart.title
        yield chart.unit
