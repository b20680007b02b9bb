"""The connection to Prefect's API: one client a process, for this stack or for the one that Prefect's settings name.

Danger: a client must not cross a fork; it is made anew in a child.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.core.patience import PERSON, SERVICE, patience, patient
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.transport import ApiTransport

#: Seconds until a service gives up a call: the server answers slowly while hundreds of runs are created at once.
REQUEST_TIMEOUT = 60.0

_clients: dict[int, SyncPrefectClient] = {}


def api() -> SyncPrefectClient:
    """The client of this process. Its calls raise `httpx` errors; wrap them in `reachable()` where a person waits."""
    pid = os.getpid()
    if pid not in _clients:
        _clients.clear()
        here = settings()
        _clients[pid] = SyncPrefectClient(
            here.api_url,
            auth_string=here.auth_string(),
            httpx_settings={"timeout": REQUEST_TIMEOUT, "transport": ApiTransport(here.api_url)},
        )
    return _clients[pid]


def prefect_settings() -> AbstractContextManager[Any]:
    """Points Prefect's own functions here: blocks find their server by Prefect's settings, not through our client."""
    here = settings()
    return temporary_settings(
        {
            PREFECT_API_URL: here.api_url,
            PREFECT_API_AUTH_STRING: here.auth_string(),
            PREFECT_API_REQUEST_TIMEOUT: min(patience(), REQUEST_TIMEOUT),
            PREFECT_CLIENT_MAX_RETRIES: 0,
        }
    )


@contextmanager
def reachable(seconds: float | None = None) -> Iterator[None]:
    """Turns what a call raises when the API is unavailable or refuses us into one sentence, in time.

    Args:
        seconds: the API may stay silent; else as long as a person waits, and in a job, where nobody waits, a service's time.

    Raises:
        ApiUnavailable: no connection, no answer in time, or a wrong password.
    """
    if seconds is None:
        seconds = PERSON if FlowRunContext.get() is None else SERVICE
    url = settings().api_url
    try:
        with patient(seconds):
            yield
    except ApiUnavailable:
        raise
    except httpx.TransportError as error:
        raise ApiUnavailable(
            f"Prefect's API at {url} does not answer ({type(error).__name__}): start the stack with `redrive up`, or set PREFECT_API_URL"
        ) from error
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise ApiUnavailable(
                f'Prefect\'s API at {url} refused the password: set PREFECT_API_AUTH_STRING, or run `eval "$(redrive env)"`'
            ) from error
        if status >= 500:  # noqa: PLR2004  (HTTP's own class of server errors)
            raise ApiUnavailable(
                f"Prefect's API at {url} answered {status}: see `redrive status` and its log"
            ) from error
        raise
