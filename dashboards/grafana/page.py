"""What every dashboard has: its variables, its marks for deploys and pauses, its links, and the order of its panels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from redrive.dashboards.grafana.panels import DATASOURCE, Panel

TAG = "redrive"

Variable = build.QueryVariable | build.DatasourceVariable


@dataclass(frozen=True)
class Row:
    """Panels under one heading, from left to right and top to bottom."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    links: Sequence[build.DashboardLink] = ()
    span: str = field(default="now-6h")

    def text(self) -> str:
        """The dashboard as Grafana imports it."""
        made = self._board().build()
        for number, panel in enumerate(made.panels or [], 1):
            panel.id_val = number
        document: dict[str, Any] = json.loads(json.dumps(made, cls=JSONEncoder))
        document["annotations"] = {"list": [*MARKS]}
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def _board(self) -> build.Dashboard:
        board = (
            build.Dashboard(f"Redrive / {self.title}")
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .timezone("browser")
            .time(self.span, "now")
            .refresh("30s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .with_variable(_datasource())
            .with_variable(_prefect())
            .links([_others(), *self.links])
        )
        for variable in self.variables:
            board = board.with_variable(variable)
        for row in self.rows:
            board = board.with_row(build.Row(row.title))
            for panel in row.panels:
                board = board.with_panel(panel)
        return board


def _datasource() -> build.DatasourceVariable:
    return build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _prefect() -> build.QueryVariable:
    """Where Prefect's UI is: the exporter knows, so links need no setting up."""
    return (
        build.QueryVariable("prefect")
        .datasource(DATASOURCE)
        .query({"query": "label_values(redrive_build_info, prefect_ui)", "refId": "prefect"})
        .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .hide(model.VariableHide.HIDE_VARIABLE)
    )


def queues(*, several: bool = True) -> build.QueryVariable:
    """Choose queues; all of them at first, where several may be chosen."""
    return _choice("queue", "Queue", "label_values(queue_jobs_waiting, queue)", several=several)


def job_types(*, several: bool = True) -> build.QueryVariable:
    """Choose job types."""
    return _choice("job", "Job type", "label_values(queue_jobs_total, job)", several=several)


def _choice(name: str, label: str, query: str, *, several: bool) -> build.QueryVariable:
    variable = (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        chosen = model.VariableOption(selected=True, text="All", value="$__all")
        variable = variable.multi(True).include_all(True).all_value(".*").current(chosen)  # noqa: FBT003
    return variable


def prefect_link(title: str, path: str) -> build.DashboardLink:
    """A link to a page of Prefect's UI."""
    return (
        build.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(f"${{prefect}}{path}")
        .icon("external link")
        .target_blank(True)  # noqa: FBT003  (the builder's own form)
    )


def _others() -> build.DashboardLink:
    return (
        build.DashboardLink("Redrive")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)  # noqa: FBT003
        .include_vars(True)  # noqa: FBT003
        .keep_time(True)  # noqa: FBT003
    )


def _mark(name: str, colour: str, expr: str, **more: Any) -> dict[str, Any]:
    # The SDK's model lacks the fields that the Prometheus data source reads here.
    return {
        "name": name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": expr,
        **more,
    }


MARKS = (
    # The value is the time: the mark stands where a version of Redrive started.
    _mark(
        "Deploys",
        "blue",
        'process_start_time_seconds{job="redrive"} * 1000 * on (instance) group_left (version) redrive_build_info',
        titleFormat="Redrive {{version}} started",
        tagKeys="version",
        useValueForTime=True,
    ),
    _mark(
        "Pauses", "orange", "max by (queue) (queue_paused) == 1", titleFormat="Queue {{queue}} paused", tagKeys="queue"
    ),
)
