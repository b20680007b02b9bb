"""How the stack itself talks to Prefect's API: plain HTTP, as importing Prefect takes longer than asking it."""

from __future__ import annotations

import httpx

from redrive.blocks.core.settings import Settings

#: Seconds a health check waits for an answer.
PATIENCE = 2.0


def client_environment(settings: Settings) -> dict[str, str]:
    """The variables that point Prefect's client and commands at this stack."""
    given = {"PREFECT_API_URL": settings.api_url, "PREFECT_HOME": str(settings.home / "prefect")}
    if auth := settings.auth_string():
        given["PREFECT_API_AUTH_STRING"] = auth
    return given


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
        timeout=10,
    )
