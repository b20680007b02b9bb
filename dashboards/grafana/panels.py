"""How our panels look: one constructor for each kind, one colour for each status, the same on every dashboard.

Danger: an override by name colours a series only while its legend is exactly that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
BLUE, PURPLE, GREY, DARK_RED = "blue", "purple", "#8e8e8e", "dark-red"

#: One meaning, one colour: green is done, blue is under way, orange tries again, red waits for a person.
COLOURS = {
    "completed": GREEN,
    "dead": RED,
    "cancelled": GREY,
    "waiting": YELLOW,
    "running": BLUE,
    "starting": "super-light-blue",
    "retrying": ORANGE,
    "scheduled": PURPLE,
    "open": RED,
    "redriven": BLUE,
    "resolved": GREEN,
    "discarded": GREY,
    "tries": RED,
    "permanent": DARK_RED,
    "deadline": ORANGE,
    "crash": PURPLE,
    "unstartable": YELLOW,
    "other": "semi-dark-red",
    "retries": ORANGE,
    "rescues": PURPLE,
    "busy": BLUE,
    "free": GREEN,
    "p50": GREEN,
    "p95": ORANGE,
    "p99": RED,
}

#: Grid units; a line of panels is 24 wide.
WIDTH = 24
STAT_HEIGHT = 4
GRAPH_HEIGHT = 8

Panel = Builder[model.Panel]

#: From which value on a figure has which colour; the first holds below the second.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Steps = ((None, BLUE),)


class _AnyPanel(Protocol):
    """What all builders of panels have in common."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: model.DataSourceRef) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...


P = TypeVar("P", bound=_AnyPanel)


@dataclass(frozen=True)
class Query:
    """A PromQL query, and what its series are called: `{{queue}}` stands for a label's value."""

    expr: str
    legend: str

    def graph(self, ref: str) -> prometheus.Dataquery:
        """The query over the time of the dashboard."""
        return prometheus.Dataquery().expr(self.expr).legend_format(self.legend).ref_id(ref).range()


def number(
    title: str,
    expr: str,
    *,
    description: str,
    unit: str,
    span: int,
    steps: Steps = PLAIN,
    decimals: int | None = None,
    words: Mapping[str, tuple[str, str]] | None = None,
    spark: bool = True,
) -> Panel:
    """One figure, large, with its course behind it. `words` gives a value a text and a colour instead."""
    panel = _about(stat.Panel(), title, description, unit, span, STAT_HEIGHT)
    panel = (
        panel.with_target(Query(expr, title).graph("A"))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.AREA if spark and not words else options.BigValueGraphMode.NONE)
        .thresholds(_thresholds(steps))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .no_value("–")
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.mappings([_words(words)]) if words else panel


def graph(
    title: str,
    *queries: Query,
    description: str,
    unit: str,
    span: int = 12,
    stacked: bool = False,
    limit: float | None = None,
    least: float | None = 0,
    most: float | None = None,
    reduce: Sequence[str] = ("lastNotNull", "max"),
) -> Panel:
    """Lines over time, or areas on top of each other; `limit` draws the line from which it is too much."""
    panel = _about(timeseries.Panel(), title, description, unit, span, GRAPH_HEIGHT)
    for ref, query in zip(_refs(len(queries)), queries, strict=True):
        panel = panel.with_target(query.graph(ref))
    panel = (
        panel.legend(_legend(reduce))
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .draw_style(options.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(35 if stacked else 8)
        .gradient_mode(options.GraphGradientMode.OPACITY)
        .show_points(options.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL if stacked else options.StackingMode.NONE))
    )
    if least is not None:
        panel = panel.min(least)
    if most is not None:
        panel = panel.max(most)
    if limit is not None:
        panel = panel.thresholds(_thresholds(((None, "transparent"), (limit, RED)))).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(options.GraphTresholdsStyleMode.DASHED)
        )
    for name, colour in COLOURS.items():
        if any(query.legend in {name, "{{status}}", "{{reason}}"} for query in queries):
            panel = panel.override_by_name(name, [_coloured(colour)])
    return panel


def bars(title: str, expr: str, legend: str, *, description: str, unit: str, span: int = 12) -> Panel:
    """What is how large now, as bars."""
    panel = _about(bargauge.Panel(), title, description, unit, span, GRAPH_HEIGHT)
    panel = (
        panel.with_target(prometheus.Dataquery().expr(expr).legend_format(legend).ref_id("A").instant())
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.GRADIENT)
        .thresholds(_thresholds(PLAIN))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .min(0)
        .no_value("–")
    )
    for name, colour in COLOURS.items():
        if legend in {"{{status}}", "{{reason}}"}:
            fixed = {"mode": "fixed", "fixedColor": colour}
            panel = panel.override_by_name(name, [model.DynamicConfigValue("color", fixed)])
    return panel


def states(
    title: str, query: Query, *, description: str, words: Mapping[str, tuple[str, str]], span: int = 24, height: int = 5
) -> Panel:
    """What was in which state when; `words` gives each value a text and a colour."""
    panel = _about(statetimeline.Panel(), title, description, "short", span, height)
    return (
        panel.with_target(query.graph("A"))
        .mappings([_words(words)])
        .show_value(options.VisibilityMode.NEVER)
        .merge_values(True)  # noqa: FBT003  (the builder's own form)
        .fill_opacity(70)
        .line_width(0)
        .row_height(0.7)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)  # noqa: FBT003
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.SINGLE))
    )


def _about(panel: P, title: str, description: str, unit: str, span: int, height: int) -> P:
    return panel.title(title).description(description).datasource(DATASOURCE).unit(unit).span(span).height(height)


def _legend(reduce: Sequence[str]) -> common.VizLegendOptions:
    """A table under the graph: with its figures, a line needs no pointing at."""
    return (
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.TABLE)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003
        .calcs(list(reduce))
    )


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, colour) for value, colour in steps])
    )


def _words(words: Mapping[str, tuple[str, str]]) -> model.ValueMapping:
    return model.ValueMap(
        {
            value: model.ValueMappingResult(text=text, color=colour, index=number)
            for number, (value, (text, colour)) in enumerate(words.items())
        }
    )


def _coloured(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _refs(count: int) -> list[str]:
    return [chr(ord("A") + number) for number in range(count)]
