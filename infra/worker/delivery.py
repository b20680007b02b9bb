"""Delivering what became of a job: a worker that lives never gives up reporting it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

import httpx

from redrive.infra.worker.log import Log

#: Seconds between two tries, growing to the longest.
PAUSE, LONGEST_PAUSE = 1.0, 20.0
#: Refusals that may pass: a login that is being changed, a server that is asked too much.
_PASSING = frozenset({401, 403, 408, 425, 429})


async def deliver(call: Callable[[], Coroutine[Any, Any, None]], log: Log) -> None:
    """Repeat a call until the API takes it, or refuses it for good: the run was deleted, for instance."""
    pause, failed = PAUSE, False
    while True:
        try:
            await call()
        except httpx.HTTPError as error:
            if _is_final(error):
                return
            if not failed:
                log.warning("the API does not take what became of a job (%r); reported again until it does", error)
            failed = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            if failed:
                log.info("the API took what became of a job")
            return


def _is_final(error: httpx.HTTPError) -> bool:
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    status = error.response.status_code
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING
