"""Charts as SVG, through Vega-Lite.

Danger: Vega lets date labels touch; up to `LABELLED` points every label is a text of ours, beyond that `labelOverlap` drops some.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import vl_convert

from redrive.flows.report_pages.definition import Chart, Series, Value
from redrive.flows.report_pages.values import moment, shown
from redrive.flows.report_pages.view import ReportView

FONTS = Path(__file__).resolve().parent.parent / "templates" / "fonts"
FONT = "Open Sans"
#: Points up to which each has its own label.
LABELLED = 16
#: Labels of a time axis.
TIME_LABELS = 8
#: Days up to which a time axis names days, and up to which it names months.
DAYS_LABELLED, MONTHS_LABELLED = 400, 5 * 366
#: Colours that print well, keep apart for the colour-blind and carry no meaning of good and bad.
COLORS = {
    "cool": "#2f6f9f",
    "warm": "#d17a22",
    "strong": "#16324f",
    "quiet": "#8a97a6",
    "pale": "#9dc1dc",
    "green": "#4b8b6f",
}
INK, FAINT = "#44515f", "#dfe5ea"


def svg(chart: Chart, view: ReportView, *, width: int, height: int) -> str:
    """The chart as SVG; width and height are pixels of the plot with its axes."""
    _register_fonts()
    return str(vl_convert.vegalite_to_svg(specification(chart, view, width=width, height=height), vl_version="5.20"))


def specification(chart: Chart, view: ReportView, *, width: int, height: int) -> dict[str, Any]:
    """Vega-Lite 5 for a chart."""
    column, values = view.column(chart.x), view.values(chart.x)
    labelled = len(values) <= LABELLED or not column.format.startswith(("date", "month", "time"))
    x_values = [shown(value, column, short=True) for value in values] if labelled else values
    drawn = {series.column: view.values(series.column) for series in chart.series}
    rows = [{"x": x, **{name: points[n] for name, points in drawn.items()}} for n, x in enumerate(x_values)]
    axis: dict[str, Any] = {"title": None, "labelAngle": 0, "labelOverlap": True, "ticks": False, "labelPadding": 6}
    x = {
        "field": "x",
        "type": "nominal",
        "sort": None,
        "axis": axis,
        "scale": {"paddingInner": 0.35, "paddingOuter": 0.2},
    }
    if not labelled:
        axis |= {"format": _time_format(values), "tickCount": TIME_LABELS, "labelFlush": False}
        x = {"field": "x", "type": "temporal", "axis": axis}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": 2,
        "background": None,
        "data": {"values": rows},
        "encoding": {"x": x},
        "layer": [_layer(series, chart, dots=labelled) for series in chart.series],
        "config": _CONFIG,
    }


def _time_format(values: list[Value]) -> str:
    """How a time axis is labelled: days within a year or so, months within some years, else years."""
    times = [when for value in values if (when := moment(value)) is not None]
    days = (max(times) - min(times)).days if times else 0
    return "%-d %b" if days <= DAYS_LABELLED else "%b %Y" if days <= MONTHS_LABELLED else "%Y"


def _layer(series: Series, chart: Chart, *, dots: bool) -> dict[str, Any]:
    colors = {"domain": [s.name for s in chart.series], "range": [COLORS[s.color] for s in chart.series]}
    legend = (
        {"title": None, "orient": "top", "symbolType": "square", "symbolSize": 90, "offset": 6}
        if len(chart.series) > 1
        else None
    )
    return {
        "mark": {**_MARKS[series.kind], **({"point": {"size": 26}} if dots and series.kind == "line" else {})},
        "encoding": {
            "y": {
                "field": series.column,
                "type": "quantitative",
                "axis": {"title": None, "tickCount": 5},
                "scale": {"zero": any(s.kind in {"bar", "area"} for s in chart.series), "nice": True},
            },
            "color": {"datum": series.name, "type": "nominal", "scale": colors, "legend": legend},
        },
    }


_MARKS: dict[str, dict[str, Any]] = {
    "line": {"type": "line", "strokeWidth": 2.4},
    "dashed": {"type": "line", "strokeWidth": 1.6, "strokeDash": [4, 3]},
    "bar": {"type": "bar", "cornerRadiusEnd": 1.5},
    "tick": {"type": "tick", "opacity": 1, "thickness": 2.2, "bandSize": 22},
    "area": {"type": "area", "opacity": 0.35, "line": True},
}
_CONFIG: dict[str, Any] = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "labelFontSize": 10, "domainColor": FAINT, "gridColor": FAINT, "tickColor": FAINT},
    "axisX": {"grid": False, "domainColor": "#9aa7b3"},
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
    "legend": {"labelColor": INK, "labelFontSize": 10, "symbolStrokeWidth": 0, "symbolOpacity": 1},
}


@cache
def _register_fonts() -> None:
    vl_convert.register_font_directory(str(FONTS))
