"""Job type `reports`: the flow is in `flow.py`, its parts beside it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Deployments name the flow `redrive.flows.reports.reports`. The parts must not load it, nor Prefect with it.
    if name == "reports":
        from redrive.flows.reports.flow import reports  # noqa: PLC0415

        return reports
    raise AttributeError(name)
