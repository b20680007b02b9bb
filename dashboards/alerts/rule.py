"""One alert rule, and the pieces of PromQL that rules are made of.

Danger: a metric that is absent makes a comparison silent. So what must not hide is subtracted (`unless it is known to be well`)
rather than required (`and it is known to be ill`).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from redrive.dashboards.alerts.limits import Alert, Severity
from redrive.dashboards.alerts.runbook import RUNBOOKS, first_step
from redrive.dashboards.alerts.thresholds import Thresholds


class Rule(BaseModel):
    """One alert rule, as Prometheus reads it."""

    alert: str
    expr: str
    hold: str
    severity: Severity
    summary: str
    description: str
    dashboard: str
    #: Labels over those of the series: what tells rules of one name apart.
    labels: dict[str, str]

    def plain(self, thresholds: Thresholds) -> dict[str, Any]:
        links = thresholds.links
        annotations = {
            "summary": self.summary,
            "description": self.description,
            "first_step": first_step(self.alert),
            "runbook": f"{RUNBOOKS}, section {self.alert}",
            "dashboard_url": f"{links.grafana.rstrip('/')}/d/{self.dashboard}",
        }
        if links.runbooks is not None:
            annotations["runbook_url"] = f"{links.runbooks}#{self.alert.lower()}"
        return {
            "alert": self.alert,
            "expr": self.expr,
            "for": self.hold,
            "labels": {"severity": self.severity, "service": "redrive", **self.labels},
            "annotations": annotations,
        }


def rule(
    alert: str,
    expr: str,
    limit: Alert,
    *,
    summary: str,
    description: str,
    dashboard: str = "redrive-queue",
    variable: str = "queue",
    labels: dict[str, str] | None = None,
) -> Rule:
    chosen = f"?var-{variable}={{{{ $labels.{variable} }}}}" if variable else ""
    return Rule(
        alert=alert,
        expr=expr,
        hold=limit.hold,
        severity=limit.severity,
        summary=summary,
        description=description,
        dashboard=dashboard + chosen,
        labels=labels or {},
    )


def now(metric: str, where: str) -> str:
    """A gauge by queue. Several exporters tell the same, so the highest is the figure."""
    return f"max by (queue) ({metric}{braces(where)})"


def increase(metric: str, where: str, window: str) -> str:
    return f"sum by (queue) (increase({metric}{braces(where)}[{window}]))"


def unless_paused(where: str) -> str:
    return f"unless on (queue)\n  ({now('queue_paused', where)} == 1)"


def also(*matchers: str) -> str:
    return ",".join(filter(None, matchers))


def braces(where: str) -> str:
    return f"{{{where}}}" if where else ""
