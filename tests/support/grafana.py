"""The committed dashboards, taken apart: their panels, and their queries as Prometheus gets them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "dashboards" / "grafana" / "json"

#: What Grafana puts in place of its own words, for tests: as long as the load of a test.
TIMES = {"$__rate_interval": "1m", "$__range": "15m", "$__interval": "5s"}


@dataclass(frozen=True)
class Asked:
    """One query of one panel, variables replaced."""

    panel: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.panel}: {self.expr}"


def boards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that shows something."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def queries(board: Mapping[str, Any], **chosen: str) -> Iterator[Asked]:
    """Every query of the dashboard: panels, marks and variables; `chosen` are values of its variables."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(panel["title"], replaced(target["expr"], chosen), bool(target.get("instant")))
    for mark in board["annotations"]["list"]:
        yield Asked(f"mark {mark['name']}", replaced(mark["expr"], chosen), instant=False)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            (metric, label) = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]  # a variable of another form fails here, as it should
            yield Asked(f"variable {variable['name']}", f'count by ({label}) ({metric}{{{label}!=""}})', instant=True)


def replaced(expr: str, chosen: Mapping[str, str]) -> str:
    for name, value in {**TIMES, **{f"${name}": value for name, value in chosen.items()}}.items():
        expr = expr.replace(name, value)
    return expr
