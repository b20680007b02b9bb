"""Prefect's API as the exporter asks it: plain HTTP, every call counted, with the server's own clock.

Danger: a clock here may be wrong by minutes. Times of runs are the server's, so whatever is compared with them is too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.request import Request
from redrive.blocks.prefect.requests import runs as runs_requests

T = TypeVar("T")

#: Seconds until a call is given up: a server that is slower than this is as good as unavailable, and shows as such.
PATIENCE = 20.0
#: Clocks that differ by less count as equal: the server tells whole seconds, and an answer takes its time.
SAME_CLOCK = timedelta(seconds=2)


class PrefectApi:
    """One connection to the API. `calls` counts what was asked."""

    def __init__(self, settings: Settings) -> None:
        user, _, password = (settings.auth_string() or "").partition(":")
        self._url = settings.api_url
        self._client = httpx.Client(
            base_url=settings.api_url,
            auth=(user, password) if user else None,
            # Proxies of the environment are not asked for a server on this machine, nor its certificates read.
            trust_env=settings.external_api_url is not None,
            verify=settings.api_url.startswith("https:"),
            timeout=PATIENCE,
            # The server closes a connection that was idle for 5 s, maybe just as we ask: we close ours before that.
            limits=httpx.Limits(keepalive_expiry=2.0),
        )
        self.calls = 0
        #: How far the server's clock is ahead of ours.
        self.offset = timedelta(0)

    def close(self) -> None:
        self._client.close()

    def now(self) -> datetime:
        """The time on the server's clock, as of its last answer."""
        return datetime.now(UTC) + self.offset

    def ask(self, request: Request[T]) -> T:
        """The answer to a request.

        Raises:
            ApiUnavailable: no answer, or none that helps.
        """
        self.calls += 1
        asked = datetime.now(UTC)
        try:
            answer = self._client.request(request.method, request.path, **request.arguments())
            found = request.answered(answer)
        except httpx.HTTPStatusError as error:
            raise ApiUnavailable(_refusal(self._url, error.response.status_code)) from error
        except (httpx.HTTPError, ValueError) as error:
            raise ApiUnavailable(
                f"Prefect's API at {self._url} does not answer ({type(error).__name__}): start the stack with `redrive up`, "
                "or set PREFECT_API_URL"
            ) from error
        self._read_clock(answer.headers.get("date"), asked)
        return found

    def count(self, runs: Mapping[str, Any], *, queue: str | None = None, pool: str | None = None) -> int:
        """How many flow runs fit, in a queue (by id) or a pool (by name)."""
        body: dict[str, Any] = {"flow_runs": runs}
        if queue is not None:
            body["work_pool_queues"] = {"id": {"any_": [queue]}}
        if pool is not None:
            body["work_pools"] = {"name": {"any_": [pool]}}
        return self.ask(runs_requests.count(body))

    def _read_clock(self, date: str | None, asked: datetime) -> None:
        if date is None:
            return
        answered = datetime.now(UTC)
        # The server cuts its time to whole seconds: half a second later is the best guess.
        reply = parsedate_to_datetime(date) + timedelta(seconds=0.5)
        offset = reply - (asked + (answered - asked) / 2)
        self.offset = offset if abs(offset) > SAME_CLOCK + (answered - asked) / 2 else timedelta(0)


def _refusal(url: str, status: int) -> str:
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return f"Prefect's API at {url} refused the password: set PREFECT_API_AUTH_STRING"
    return f"Prefect's API at {url} answered {status}: see `redrive status` and its log"
