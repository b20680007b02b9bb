"""One connection to Prefect's API: sends as Prefect's own client does, with its retries, and needs nothing of it.

Danger: a request that timed out may have arrived. What is repeated here must bear being done twice: conditions and idempotency keys
see to that.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Mapping
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

from redrive.blocks.prefect.client_settings import ClientSettings, client_settings
from redrive.blocks.prefect.request import Request
from redrive.blocks.prefect.requests import server
from redrive.blocks.prefect.transport import TRANSIENT, ApiTransport

T = TypeVar("T")

#: Version of the API that requests are written for, as Prefect's client names it.
API_VERSION = "0.8.4"
#: What may pass, as Prefect's client sees it. A connection that was never made is among them once there had been one.
_PASSING = (
    httpx.ReadTimeout,
    httpx.PoolTimeout,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    httpx.LocalProtocolError,
)
#: Headers that a setting does not replace.
_OURS = frozenset({"user-agent", "prefect-csrf-token", "prefect-csrf-client"})


class Refused(httpx.HTTPStatusError):
    """Prefect's API refused a request; the message has its answer."""

    @classmethod
    def of(cls, error: httpx.HTTPStatusError) -> Self:
        try:
            details = error.response.json()
        except ValueError:
            details = None
        first, *more = str(error).split("\n")
        detail = [first, *([f"Response: {details}"] if details else []), *more]
        return cls("\n".join(detail), request=error.request, response=error.response)


class Missing(Refused):
    """What was asked for is not there."""


class Connection:
    """To one server, as one user."""

    def __init__(self, url: str, *, auth: str | None, timeout: float) -> None:
        # Read once: another thread may be in the middle of importing Prefect when a request is sent.
        self._settings = client_settings()
        self._http = httpx.Client(
            base_url=url,
            headers=_headers(self._settings, auth),
            timeout=timeout,
            transport=ApiTransport(url),
            follow_redirects=True,
        )
        self._csrf_client = str(uuid4())
        self._csrf: dict[str, str] = {}
        self._connected = False

    def ask(self, request: Request[T]) -> T:
        """The answer.

        Raises:
            Refused: the server says no; "not found" only where it is no answer.
            httpx.TransportError: it does not answer.
        """
        answer = self._send(request.method, request.path, request.arguments())
        if answer.status_code == httpx.codes.FORBIDDEN and "CSRF" in answer.text:
            self._csrf = self._csrf_token()
            answer = self._send(request.method, request.path, request.arguments())
        try:
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            kind = Missing if answer.status_code == httpx.codes.NOT_FOUND else Refused
            return request.absent(kind.of(error))
        return request.value(answer)

    def _send(self, method: str, path: str, arguments: Mapping[str, Any]) -> httpx.Response:
        """One answer, after as many tries as Prefect's client makes."""
        settings, tries = self._settings, 0
        while True:
            tries += 1
            answer = None
            try:
                answer = self._http.request(method, path, headers=self._csrf, **arguments)
            except _PASSING:
                if tries > settings.max_retries:
                    raise
            except httpx.ConnectError:
                if tries > settings.max_retries or not self._connected:
                    raise
            else:
                self._connected = True
                if answer.headers.get("Prefect-Maintenance") == "true":
                    # A maintenance costs no try.
                    tries -= 1
                passes = answer.status_code in TRANSIENT | settings.extra_codes
                if not passes or tries > settings.max_retries:
                    return answer
            time.sleep(_pause(settings, tries, answer))

    def _csrf_token(self) -> dict[str, str]:
        """What changes have to carry on a server that asks for it."""
        token = self.ask(server.csrf_token(self._csrf_client))
        return {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": self._csrf_client}


def _headers(settings: ClientSettings, auth: str | None) -> dict[str, str]:
    given = {name: value for name, value in settings.headers.items() if name.lower() not in _OURS}
    found = {"User-Agent": f"redrive (API {API_VERSION})", "X-PREFECT-API-VERSION": API_VERSION, **given}
    if auth:
        found["Authorization"] = f"Basic {base64.b64encode(auth.encode()).decode()}"
    return found


def _pause(settings: ClientSettings, tries: int, answer: httpx.Response | None) -> float:
    """Seconds until the next try: what the server asks for, or twice as long each time; drawn a little apart."""
    try:
        asked = float(answer.headers["Retry-After"]) if answer is not None else None
    except (KeyError, ValueError):
        asked = None
    if asked is not None:
        return asked * (1 + random.uniform(0, settings.jitter))  # noqa: S311  (jitter)
    return 2.0**tries * (1 + random.uniform(-settings.jitter, settings.jitter))  # noqa: S311  (jitter)
