"""The worker's way to the API: Prefect's own asynchronous client, which the worker has anyway, with its retries and time limits."""

from __future__ import annotations

from typing import TypeVar

import httpx
from prefect.client.orchestration import PrefectClient

from redrive.blocks.prefect.request import Request
from redrive.blocks.prefect.server_clock import SERVER_CLOCK

T = TypeVar("T")


class WorkerClient:
    """Sends requests one after another or side by side, on the event loop of its worker."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client

    async def ask(self, request: Request[T]) -> T:
        """The answer.

        Raises:
            httpx.HTTPError: the API is unavailable, or refuses; "not found" only where it is no answer.
        """
        try:
            answer = await self._client.request(request.method, request.path, **request.arguments())  # type: ignore[arg-type]  # Prefect's list of routes knows templates only
        except httpx.HTTPStatusError as error:
            return request.absent(error)
        SERVER_CLOCK.observe(answer.headers.get("date"))
        return request.value(answer)
