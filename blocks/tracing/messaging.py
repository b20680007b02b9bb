"""The attributes that each span and each figure about a job has by the conventions for messaging."""

from __future__ import annotations

from urllib.parse import urlsplit

from redrive.blocks.core.settings import settings
from redrive.blocks.tracing import names
from redrive.blocks.tracing.open_span import Value
from redrive.blocks.tracing.switch import is_on


def messaging(
    operation: str, destination: str, *, message_id: str | None = None, client_id: str | None = None
) -> dict[str, Value | None]:
    """The attributes that each span about a job has by the conventions.

    Args:
        operation: `create`, `process` or `settle`: its type, and what we call it.
        destination: the queue.
        message_id: the run.
        client_id: the worker.
    """
    return {
        names.SYSTEM: "redrive",
        names.OPERATION: operation,
        names.OPERATION_TYPE: operation,
        names.DESTINATION: destination,
        names.MESSAGE_ID: message_id,
        names.CLIENT_ID: client_id,
        **(broker() if is_on() else {}),
    }


def broker() -> dict[str, str | int]:
    """Where jobs are asked for and settled: Prefect's API."""
    parts = urlsplit(settings().api_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {names.SERVER_ADDRESS: parts.hostname or "", names.SERVER_PORT: port}
