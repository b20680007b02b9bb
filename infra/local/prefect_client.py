"""How the stack itself talks to Prefect's API: plain HTTP, as importing Prefect takes longer than asking it."""

from __future__ import annotations

from typing import TypeVar

import httpx

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.request import Request

T = TypeVar("T")

#: Seconds a health check waits for an answer, and whoever sets something up.
PATIENCE, SETUP_PATIENCE = 2.0, 10.0


def client_environment(settings: Settings) -> dict[str, str]:
    """The variables that point Prefect's client and commands at this stack."""
    given = {"PREFECT_API_URL": settings.api_url, "PREFECT_HOME": str(settings.home / "prefect")}
    if auth := settings.auth_string():
        given["PREFECT_API_AUTH_STRING"] = auth
    return given


def ask(settings: Settings, request: Request[T], *, timeout: float = SETUP_PATIENCE) -> T:
    """The answer to a request.

    Raises:
        httpx.HTTPError: there is none within `timeout` seconds, or it is a refusal.
    """
    with api(settings) as client:
        answer = client.request(request.method, request.path, timeout=timeout, **request.arguments())
    return request.answered(answer)


def api(settings: Settings) -> httpx.Client:
    """A client of the API. Proxies of the environment are not asked for a server on this machine."""
    auth = settings.auth_string()
    user, _, password = (auth or "").partition(":")
    return httpx.Client(
        base_url=settings.api_url,
        auth=(user, password) if auth else None,
        trust_env=settings.external_api_url is not None,
        # Reading the certificates takes longer than an answer: only where they are used.
        verify=settings.api_url.startswith("https:"),
    )
