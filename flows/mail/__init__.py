"""Job type `mail`: the flow is in `flow.py`, its parts beside it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Deployments name the flow `redrive.flows.mail.mail`. The parts must not load it, nor Prefect with it.
    if name == "mail":
        from redrive.flows.mail.flow import mail  # noqa: PLC0415

        return mail
    raise AttributeError(name)
