"""Job type `sync`: the flow is in `flow.py`, its parts beside it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Deployments name the flow `redrive.flows.sync.sync`. The parts must not load it, nor Prefect with it.
    if name == "sync":
        from redrive.flows.sync.flow import sync  # noqa: PLC0415

        return sync
    raise AttributeError(name)
