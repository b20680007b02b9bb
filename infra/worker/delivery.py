"""Delivering what became of a job: a worker that lives never gives up reporting it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from redrive.infra.worker.log import Log

#: Seconds between two tries, growing to the longest.
PAUSE, LONGEST_PAUSE = 1.0, 20.0
#: Refusals that may pass: a login that is being changed, a server that is asked too much.
_PASSING = frozenset({401, 403, 408, 425, 429})


async def deliver(call: Callable[[], Coroutine[Any, Any, None]], log: Log) -> None:
    """Repeat a call until the API takes it, or refuses it for good: the run was deleted, for instance."""

    def report(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            log.warning(
                "the API does not take what became of a job (%r); reported again until it does",
                state.outcome.exception(),
            )

    until_taken = AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_exponential(multiplier=PAUSE, max=LONGEST_PAUSE),
        before_sleep=report,
        reraise=True,
    )
    with suppress(httpx.HTTPError):
        await until_taken(call)
        if until_taken.statistics["attempt_number"] > 1:
            log.info("the API took what became of a job")


def _may_pass(error: BaseException) -> bool:
    """Whether the same call may be taken later."""
    if not isinstance(error, httpx.HTTPStatusError):
        return isinstance(error, httpx.HTTPError)
    status = error.response.status_code
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING
