"""Tables: one line a queue or job type, its figures from several queries side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, prometheus, table
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from redrive.dashboards.grafana.panels import DATASOURCE, GRAPH_HEIGHT, Panel, Steps


@dataclass(frozen=True)
class Column:
    """A figure of each line."""

    title: str
    expr: str
    unit: str = "short"
    decimals: int | None = None
    #: From which value on its cell is coloured.
    steps: Steps = ()
    #: Texts in place of values.
    words: tuple[tuple[str, str, str], ...] = ()


def lines(
    title: str,
    keys: Sequence[str],
    columns: Sequence[Column],
    *,
    description: str,
    span: int = 24,
    height: int = GRAPH_HEIGHT,
    link: tuple[str, str] | None = None,
    sort: str = "",
) -> Panel:
    """A table with a line for each value of the labels `keys`.

    Args:
        link: a label and the dashboard its cells open.
        sort: column to sort by, the highest first.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("short")
        .span(span)
        .height(height)
    )
    names = {}
    for number, column in enumerate(columns):
        ref = chr(ord("A") + number)
        panel = panel.with_target(
            prometheus.Dataquery().expr(column.expr).ref_id(ref).instant().format(PromQueryFormat.TABLE)
        )
        # With several queries Grafana calls their figures `Value #A`; with one, `Value`.
        names[f"Value #{ref}" if len(columns) > 1 else "Value"] = column.title
    order = {name: number for number, name in enumerate([*keys, *names])}
    panel = panel.with_transformation(model.DataTransformerConfig("merge", options={})).with_transformation(
        model.DataTransformerConfig(
            "organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": order,
                "renameByName": {**names, **{key: key.capitalize() for key in keys}},
            },
        )
    )
    for column in columns:
        panel = panel.override_by_name(column.title, _style(column))
    if link:
        label, uid = link
        url = f"/d/{uid}?var-{label}=${{__value.raw}}&${{__url_time_range}}&var-datasource=${{datasource}}"
        panel = panel.override_by_name(
            label.capitalize(),
            [model.DynamicConfigValue("links", [{"title": f"Open this {label}", "url": url, "targetBlank": False}])],
        )
    if sort:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])  # noqa: FBT003
    return panel.no_value("–").color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))


def _style(column: Column) -> list[model.DynamicConfigValue]:
    styles = [model.DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        styles.append(model.DynamicConfigValue("decimals", column.decimals))
    if column.steps:
        steps = [{"value": value, "color": colour} for value, colour in column.steps]
        styles.append(model.DynamicConfigValue("thresholds", {"mode": "absolute", "steps": steps}))
        styles.append(model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.words:
        result = {
            value: {"text": text, "color": colour, "index": number}
            for number, (value, text, colour) in enumerate(column.words)
        }
        styles.append(model.DynamicConfigValue("mappings", [{"type": "value", "options": result}]))
        styles.append(model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return styles
