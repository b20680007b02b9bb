"""Charts as SVG, through Vega-Lite.

Danger: Vega labels bands by their value and lets equal ones fall together, so bands are numbers here and labelled by us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import vl_convert

from redrive.flows.reports.definition import Chart, Series
from redrive.flows.reports.fonts import FONTS
from redrive.flows.reports.legend import COLORS, DASH, DASHED, LINE
from redrive.flows.reports.points import LABELLED, Points, points_of
from redrive.flows.reports.time_axis import labels, narrowest
from redrive.flows.reports.values import Formats
from redrive.flows.reports.view import ReportView

#: Pixels of a label's letter, and the angle at which labels stand that would touch.
LETTER, SLANT = 5.8, -38
#: Labels of a value axis, about. Its scale ends where one of so many stands: rounded finer, the last line would have no number.
_LABELS = 5
INK, FAINT = "#44515f", "#dfe5ea"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A chart as it is laid out: its picture without title and legend, which are set as text around it."""

    title: str
    unit: str
    note: str
    svg: str
    alone: bool
    legend: tuple[Series, ...]


def charts_of(view: ReportView, size: Callable[[bool], tuple[int, int]]) -> list[Drawn]:
    """The report's charts; `size` gives width and height in pixels for one that stands alone in its row or does not."""
    found = []
    for number, chart in enumerate(view.charts, 1):
        alone = len(view.charts) % 2 == 1 and number == len(view.charts)
        width, height = size(alone)
        points = points_of(chart, view)
        legend = chart.series if len(chart.series) > 1 else ()
        found.append(
            Drawn(
                title=chart.title,
                unit=chart.unit,
                note=points.note,
                svg=_svg(chart, points, view.formats, width=width, height=height),
                alone=alone,
                legend=legend,
            )
        )
    return found


def specification(chart: Chart, view: ReportView, *, width: int, height: int) -> dict[str, Any]:
    """Vega-Lite 5 for a chart."""
    return _specification(chart, points_of(chart, view), view.formats, width=width, height=height)


def _svg(chart: Chart, points: Points, formats: Formats, *, width: int, height: int) -> str:
    _register_fonts()
    mark, group = formats.number(0.5, 1)[1], formats.number(1000)[1]
    return str(
        vl_convert.vegalite_to_svg(
            _specification(chart, points, formats, width=width, height=height),
            vl_version="5.20",
            format_locale={
                "decimal": mark,
                "thousands": group,
                "grouping": [3],
                "currency": ["", ""],
                "minus": "\u2212",
            },
        )
    )


def _specification(chart: Chart, points: Points, formats: Formats, *, width: int, height: int) -> dict[str, Any]:
    rows = [{"x": x, **{name: line[n] for name, line in points.y.items()}} for n, x in enumerate(points.x)]
    dots = points.kind == "band" and len(points.x) <= LABELLED
    bar = _bar_width(points, width)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "right": 4, "top": 6, "bottom": 2},
        "background": None,
        "data": {"values": rows},
        "encoding": {"x": _x(points, formats, width, bars=any(s.kind in {"bar", "tick"} for s in chart.series))},
        "layer": [_layer(series, chart, dots=dots, bar=bar) for series in chart.series],
        "config": _CONFIG,
    }


def _x(points: Points, formats: Formats, width: int, *, bars: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": None, "labelAngle": 0, "labelOverlap": False, "ticks": False, "labelPadding": 6}
    if points.kind == "time":
        marked = labels(min(points.x), max(points.x), formats, room=max(3, width // 75))
        texts = {str(round(at)): text for at, text in marked}
        axis |= {"values": [round(at) for at, _ in marked], "labelExpr": f"({_js(texts)})[datum.value]", "ticks": True}
        half = narrowest(points.x) / 2 if bars else 0.0
        edges = [min(points.x) - half, max(points.x) + half]
        return {
            "field": "x",
            "type": "quantitative",
            "axis": axis,
            "scale": {"domain": edges, "nice": False, "zero": False},
        }
    if points.kind == "number":
        axis |= {"tickCount": max(3, width // 75), "labelOverlap": True}
        return {"field": "x", "type": "quantitative", "axis": axis, "scale": {"nice": True, "zero": False}}
    room = width * 0.9 / max(1, len(points.texts))
    slanted = max(map(len, points.texts), default=0) * LETTER > room
    axis |= {"labelExpr": f"({_js(points.texts)})[datum.value]", "labelLimit": 110 if slanted else 0}
    if slanted:
        axis |= {"labelAngle": SLANT, "labelAlign": "right", "labelBaseline": "middle", "labelOverlap": room < 12}  # noqa: PLR2004  (pixels of a line)
    scale = {"paddingInner": 0.35, "paddingOuter": 0.2, "reverse": formats.rtl}
    return {"field": "x", "type": "ordinal", "sort": None, "axis": axis, "scale": scale}


def _js(value: object) -> str:
    return orjson.dumps(value).decode()


def _bar_width(points: Points, width: int) -> float | None:
    if points.kind == "band" or len(points.x) < 2:  # noqa: PLR2004  (one point has no distance to another)
        return None
    span = max(points.x) - min(points.x)
    return max(0.6, 0.75 * width * narrowest(points.x) / span) if span else None


def _layer(series: Series, chart: Chart, *, dots: bool, bar: float | None) -> dict[str, Any]:
    mark = {**_MARKS[series.kind], "color": COLORS[series.color]}
    if dots and series.kind == "line":
        mark["point"] = {"size": 26, "color": COLORS[series.color]}
    if bar is not None and series.kind == "bar":
        mark |= {"width": bar, "cornerRadiusEnd": 0}
    if bar is not None and series.kind == "tick":
        mark |= {"orient": "horizontal", "bandSize": max(3.0, bar)}
    if series.kind == "area":
        mark["line"] = {"color": COLORS[series.color], "strokeWidth": DASHED}
    return {
        "mark": mark,
        "encoding": {
            "y": {
                "field": series.column,
                "type": "quantitative",
                "axis": {"title": None, "tickCount": _LABELS},
                "scale": {"zero": any(s.kind in {"bar", "area"} for s in chart.series), "nice": _LABELS},
            },
        },
    }


_MARKS: dict[str, dict[str, Any]] = {
    "line": {"type": "line", "strokeWidth": LINE, "strokeJoin": "round"},
    "dashed": {"type": "line", "strokeWidth": DASHED, "strokeDash": list(DASH)},
    "bar": {"type": "bar", "cornerRadiusEnd": 1.5},
    "tick": {"type": "tick", "opacity": 1, "thickness": 2.2, "bandSize": 22},
    "area": {"type": "area", "opacity": 0.35},
}
_CONFIG: dict[str, Any] = {
    "font": "Open Sans",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "labelFontSize": 10, "domainColor": FAINT, "gridColor": FAINT, "tickColor": "#9aa7b3"},
    "axisX": {"grid": False, "domainColor": "#9aa7b3", "tickSize": 4},
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
}


@cache
def _register_fonts() -> None:
    vl_convert.register_font_directory(str(FONTS))
