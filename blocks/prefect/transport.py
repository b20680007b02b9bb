"""HTTP to Prefect's API with a deadline where a person waits: silence, refusals and restarts share one budget of seconds.

Prefect's client retries what timed out five times with growing pauses, so that a server which hangs costs seven minutes. The
transport lies below that: while a person waits it retries by itself, and what it raises in the end Prefect does not retry.
"""

from __future__ import annotations

import os
import ssl
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.core.patience import SERVICE, answered, left_for, unanswered
from redrive.blocks.prefect.calls import sending
from redrive.blocks.prefect.client_settings import client_settings
from redrive.blocks.prefect.server_clock import SERVER_CLOCK

#: Seconds between two tries: the first, and the longest.
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
#: Answers that may be others a moment later, as Prefect's client has them.
TRANSIENT = frozenset({408, 429, 502, 503})
#: Connections Prefect's client allows itself: more of them made it unstable.
_LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=25)


class NoAnswer(ApiUnavailable, httpx.TransportError):
    """Prefect's API does not answer."""

    #: Whether the request may have arrived all the same.
    arrived: bool = True


class ApiTransport(httpx.HTTPTransport):
    """What Prefect's client sends its requests through."""

    def __init__(self, url: str) -> None:
        super().__init__(verify=_tls(url), limits=_LIMITS, proxy=_proxy(url))
        self._url = url
        self._connected = False
        self._transient = TRANSIENT | client_settings().extra_codes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One answer, in time.

        Raises:
            NoAnswer: there was none while a person waited.
            httpx.TransportError: as usual, where nobody does.
        """
        answer = self._answer(request)
        SERVER_CLOCK.observe(answer.headers.get("date"))
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        budget = left_for(self._url)
        if budget >= SERVICE:
            with sending():
                return super().handle_request(request)
        began, pause = time.monotonic(), _PAUSE
        while True:
            left = budget - (time.monotonic() - began)
            request.extensions = {
                **request.extensions,
                "timeout": dict.fromkeys(("connect", "read", "write", "pool"), left),
            }
            try:
                with sending():
                    answer = self._whole(super().handle_request(request))
            except httpx.TimeoutException as error:
                unanswered(self._url)
                arrived = not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
                raise self._no_answer(f"not within {budget:.2g} s", "see `redrive status`", arrived=arrived) from error
            except httpx.TransportError as error:
                detail = str(error) or type(error).__name__
                refused = isinstance(error, httpx.ConnectError) and not self._connected
                if refused or time.monotonic() - began + pause > budget:
                    advice = "start the stack with `redrive up`, or set PREFECT_API_URL"
                    raise self._no_answer(detail, advice, arrived=not isinstance(error, httpx.ConnectError)) from error
            else:
                answered(self._url)
                self._connected = True
                transient = answer.status_code in self._transient
                if not transient:
                    return answer
                if time.monotonic() - began + pause > budget:
                    raise self._no_answer(f"it answered {answer.status_code}", "see `redrive status` and its log")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @staticmethod
    def _whole(answer: httpx.Response) -> httpx.Response:
        """With its body, which else would be read beyond our reach."""
        try:
            assert isinstance(answer.stream, httpx.SyncByteStream)  # noqa: S101  (tells mypy)
            body = b"".join(answer.stream)
        finally:
            answer.close()
        return httpx.Response(
            answer.status_code,
            headers=answer.headers,
            stream=httpx.ByteStream(body),
            extensions={name: value for name, value in answer.extensions.items() if name != "network_stream"},
        )

    def _no_answer(self, detail: str, advice: str, *, arrived: bool = True) -> NoAnswer:
        return NoAnswer(f"Prefect's API at {self._url} does not answer ({detail}): {advice}", arrived=arrived)


def _tls(url: str) -> ssl.SSLContext | bool:
    if not url.startswith("https:"):
        return False  # reading the certificates takes longer than an answer
    settings = client_settings()
    if settings.skips_verification:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    import certifi  # noqa: PLC0415  (only here)

    # As Prefect's own client and httpx have it.
    return ssl.create_default_context(cafile=settings.cert_file or os.environ.get("SSL_CERT_FILE") or certifi.where())


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
