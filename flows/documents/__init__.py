"""Job type `documents`: the flow is in `flow.py`, its parts beside it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Deployments name the flow `redrive.flows.documents.documents`. The parts must not load it, nor Prefect with it.
    if name == "documents":
        from redrive.flows.documents.flow import documents  # noqa: PLC0415

        return documents
    raise AttributeError(name)
