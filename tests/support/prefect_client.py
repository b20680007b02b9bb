"""Prefect's own client, pointed at the server that Redrive's settings name: tests look at what is there past our gateway."""

from __future__ import annotations

import functools
import os

from prefect.client.orchestration import SyncPrefectClient

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.client import REQUEST_TIMEOUT
from redrive.blocks.prefect.transport import ApiTransport


def api() -> SyncPrefectClient:
    """The client of this process and server."""
    here = settings()
    return _client(os.getpid(), here.api_url, here.auth_string())


@functools.cache
def _client(_pid: int, url: str, auth: str | None) -> SyncPrefectClient:
    return SyncPrefectClient(
        url,
        auth_string=auth,
        httpx_settings={"timeout": REQUEST_TIMEOUT, "transport": ApiTransport(url)},
    )
