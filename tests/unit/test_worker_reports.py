"""A worker that lives never gives up reporting, and says only once that it cannot."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from redrive.infra.worker import delivery
from redrive.infra.worker.delivery import deliver

#: More often than any limit on tries would bear.
FAILURES = 200


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSE", 0.0)


@pytest.mark.parametrize("status", [None, 401, 429, 500, 503])
def test_a_report_is_repeated_until_the_api_takes_it(caplog: pytest.LogCaptureFixture, status: int | None) -> None:
    asked = 0

    async def report() -> None:
        nonlocal asked
        asked += 1
        if asked <= FAILURES:
            raise _error(status)

    with caplog.at_level(logging.WARNING):
        asyncio.run(deliver(report, logging.getLogger("test")))

    assert asked == FAILURES + 1
    assert len(caplog.records) == 1


def test_a_report_that_is_refused_for_good_is_not_repeated() -> None:
    asked = 0

    async def report() -> None:
        nonlocal asked
        asked += 1
        raise _error(404)

    asyncio.run(deliver(report, logging.getLogger("test")))

    assert asked == 1


def _error(status: int | None) -> httpx.HTTPError:
    request = httpx.Request("POST", "http://api")
    if status is None:
        return httpx.ConnectError("nobody answers", request=request)
    return httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status, request=request))
