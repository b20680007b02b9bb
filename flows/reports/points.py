"""What a chart draws: places on its x axis, a value of each series there, and no more of them than it has room for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from redrive.flows.reports.definition import Chart, Value
from redrive.flows.reports.time_axis import instant
from redrive.flows.reports.values import DATES, exact, moment
from redrive.flows.reports.view import ReportView

#: Points up to which each has its own label.
LABELLED = 16
#: Points that a chart of that width can show, and categories that can still be told apart.
POINTS_LIMIT, CATEGORIES_LIMIT = 1_200, 40


@dataclass(frozen=True, kw_only=True)
class Points:
    """What is drawn: places on the x axis, values by series, and how the axis is labelled."""

    kind: str
    x: list[float]
    y: dict[str, list[float | None]]
    texts: list[str]
    note: str = ""


def points_of(chart: Chart, view: ReportView) -> Points:
    """The points of a chart: times, numbers, or bands of their own where there are few."""
    column, values = view.column(chart.x), view.values(chart.x)
    drawn = {series.column: [_plotted(value) for value in view.values(series.column)] for series in chart.series}
    whens = [moment(value) for value in values] if column.format in DATES else []
    if (
        len(values) > LABELLED
        and any(whens)
        and all(when or value is None for when, value in zip(whens, values, strict=True))
    ):
        return _placed("time", [instant(when, view.formats) if when else None for when in whens], drawn)
    if len(values) > LABELLED and view.number(chart.x):
        return _placed("number", [_plotted(value) for value in values], drawn)
    number = view.number(chart.x)
    texts = [view.formats.shown(value, column, number=number, short=True) for value in values[:CATEGORIES_LIMIT]]
    if column.format in {"month", "date"} and len({when.year for when in whens if when}) > 1:
        texts = [f"{text} {when:%y}" if when else text for text, when in zip(texts, whens, strict=False)]
    note = f"The first {CATEGORIES_LIMIT} of {len(values):,} are drawn." if len(values) > CATEGORIES_LIMIT else ""
    return Points(
        kind="band",
        x=[float(n) for n in range(len(texts))],
        y={name: line[:CATEGORIES_LIMIT] for name, line in drawn.items()},
        texts=texts,
        note=note,
    )


def _placed(kind: str, x: list[float | None], drawn: dict[str, list[float | None]]) -> Points:
    """Points on an axis of times or numbers; those without a place there are counted."""
    kept = [n for n, place in enumerate(x) if place is not None]
    lost = len(x) - len(kept)
    return _sampled(
        Points(
            kind=kind,
            x=[place for place in x if place is not None],
            y={name: [line[n] for n in kept] for name, line in drawn.items()},
            texts=[],
            note=_not_drawn(lost, len(x)),
        )
    )


def _not_drawn(lost: int, of: int) -> str:
    if not lost:
        return ""
    has, are = ("has", "is") if lost == 1 else ("have", "are")
    return f"{lost:,} of {of:,} rows {has} no value for this axis and {are} not drawn."


def _sampled(points: Points) -> Points:
    """Lowest and highest of each stretch, if there are more points than the chart has room for."""
    count = len(points.x)
    if count <= POINTS_LIMIT:
        return points
    order = sorted(range(count), key=points.x.__getitem__)
    stretches = POINTS_LIMIT // (2 * len(points.y))
    kept = {order[0], order[-1]}
    for stretch in range(stretches):
        there = order[stretch * count // stretches : (stretch + 1) * count // stretches]
        for line in points.y.values():
            known = [(value, n) for n in there if (value := line[n]) is not None]
            kept |= {min(known)[1], max(known)[1]} if known else set()
    chosen = [n for n in order if n in kept]
    return replace(
        points,
        x=[points.x[n] for n in chosen],
        y={name: [line[n] for n in chosen] for name, line in points.y.items()},
        note=f"{points.note} {count:,} points, drawn as {len(chosen):,}: the lowest and highest of each stretch.".strip(),
    )


def _plotted(value: Value) -> float | None:
    number = exact(value)
    return float(number) if number is not None and isfinite(number) else None
