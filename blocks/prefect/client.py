"""Asking Prefect's API from a command, a service or a job: one connection a process, to this stack's server or the one that
Prefect's settings name.

Danger: a connection must not cross a fork; it is made anew in a child.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import httpx

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.core.patience import PERSON, SERVICE, left_for, patient
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.connection import Connection, Missing
from redrive.blocks.prefect.request import Request

__all__ = ["Missing", "ask", "connect_anew", "prefect_settings", "reachable"]

T = TypeVar("T")

#: Seconds until a service gives up a call: the server answers slowly while hundreds of runs are created at once.
REQUEST_TIMEOUT = 60.0


class _ConnectionOfProcess:
    """The connection of the process that asks."""

    def __init__(self) -> None:
        self._pid = 0
        self._connection: Connection | None = None

    def get(self) -> Connection:
        """Made at the first question, and anew in a forked child."""
        if self._connection is None or self._pid != os.getpid():
            here = settings()
            self._connection = Connection(here.api_url, auth=here.auth_string(), timeout=REQUEST_TIMEOUT)
            self._pid = os.getpid()
        return self._connection

    def forget(self) -> None:
        """The next question makes another."""
        self._connection = None


_connection = _ConnectionOfProcess()


def ask(request: Request[T]) -> T:
    """The answer to a request. Wrap it in `reachable()` where a person waits.

    Raises:
        Missing: what it is about is not there.
        httpx.HTTPError: no answer, or a refusal.
    """
    return _connection.get().ask(request)


def connect_anew() -> None:
    """Forget the connections of this process: the settings name another server now."""
    _connection.forget()


def prefect_settings() -> AbstractContextManager[Any]:
    """Points Prefect's own functions here: blocks find their server by Prefect's settings, not through our client."""
    from prefect import settings as names  # noqa: PLC0415  (as above)

    here = settings()
    return names.temporary_settings(
        {
            names.PREFECT_API_URL: here.api_url,
            names.PREFECT_API_AUTH_STRING: here.auth_string(),
            names.PREFECT_API_REQUEST_TIMEOUT: min(left_for(here.api_url), REQUEST_TIMEOUT),
            names.PREFECT_CLIENT_MAX_RETRIES: 0,
        }
    )


def _in_a_job() -> bool:
    # While another thread imports it, the module is there and empty; a job's process has imported it long before.
    flow_run = getattr(sys.modules.get("prefect.context"), "FlowRunContext", None)
    return flow_run is not None and flow_run.get() is not None


@contextmanager
def reachable(seconds: float | None = None) -> Iterator[None]:
    """Turns what a call raises when the API is unavailable or refuses us into one sentence, in time.

    Args:
        seconds: the API may stay silent; else as long as a person waits, and in a job, where nobody waits, a service's time.

    Raises:
        ApiUnavailable: no connection, no answer in time, or a wrong password.
    """
    if seconds is None:
        seconds = SERVICE if _in_a_job() else PERSON
    url = settings().api_url
    try:
        with patient(seconds):
            yield
    except ApiUnavailable:
        raise
    except httpx.ReadTimeout as error:
        raise ApiUnavailable(f"Prefect's API at {url} does not answer in time: see `redrive status`") from error
    except httpx.TransportError as error:
        raise ApiUnavailable(
            f"Prefect's API at {url} does not answer ({type(error).__name__}): start the stack with `redrive up`, or set PREFECT_API_URL"
        ) from error
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise ApiUnavailable(
                f'Prefect\'s API at {url} refused the password: set PREFECT_API_AUTH_STRING, or run `eval "$(redrive env)"`'
            ) from error
        if status >= 500:  # noqa: PLR2004  (HTTP's own class of server errors)
            raise ApiUnavailable(
                f"Prefect's API at {url} is unavailable, it answered {status}: see `redrive status` and its log"
            ) from error
        raise
