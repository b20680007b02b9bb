"""The alerts as the Prometheus operator takes them, infra/k8s/monitoring/rules.yaml: `python -m redrive.dashboards.alerts.kubernetes`."""

from __future__ import annotations

from pathlib import Path

RULES = Path(__file__).resolve().with_name("rules.yaml")
MADE = RULES.parents[2] / "infra" / "k8s" / "monitoring" / "rules.yaml"

_HEAD = """# Made from dashboards/alerts/rules.yaml by `python -m redrive.dashboards.alerts.kubernetes`; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: { name: redrive }
spec:
"""


def made() -> str:
    """The text of monitoring/rules.yaml. The alerts move in by two columns as they are, comments and all."""
    lines = RULES.read_text().splitlines()
    return _HEAD + "\n".join(f"  {line}".rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    MADE.write_text(made())
