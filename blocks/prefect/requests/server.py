"""Requests about the server itself."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json, nothing


def health() -> Request[None]:
    """Whether the process answers."""
    return Request(method="GET", path="/health", read=nothing)


def ready() -> Request[None]:
    """Whether it reaches its database."""
    return Request(method="GET", path="/ready", read=nothing)


def csrf_token(client: str) -> Request[str]:
    """What a client of that name has to send with its changes."""
    return Request(method="GET", path="/csrf-token", params={"client": client}, read=_token)


def settings() -> Request[Json]:
    """The server's settings."""
    return Request(method="GET", path="/admin/settings", read=as_json)


def version() -> Request[str]:
    """Prefect's version there."""
    return Request(method="GET", path="/admin/version", read=as_json)


def _token(answer: Json) -> str:
    return str(answer["token"])
