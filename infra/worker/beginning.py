"""Beginning runs by the server's call for many: what slots ask for while one call is under way goes with the next.

Danger: a run that the call does not begin is claimed in Prefect's own way. One that it began is the asking slot's in any case.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal
from uuid import uuid4

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from redrive.infra.worker.run_api import Json, RunApi

#: Seconds between two requests for the same beginning whose answer did not come, and until the run is left to reconciling.
AGAIN, GIVE_UP = 1.0, 60.0


#: Somebody else has the run, or it is one that the call leaves to Prefect's own calls.
Other = Literal["gone", "not begun"]


@dataclass
class _Asked:
    body: Json
    answer: asyncio.Future[Json | Other]


@dataclass
class Beginning:
    """Of one worker, whose labels each run gets."""

    api: RunApi
    labels: dict[str, str]
    _asked: list[_Asked] = field(default_factory=list)
    _calling: asyncio.Task[None] | None = None

    async def of(self, run_id: str, pid: int) -> Json | Other:
        """Begin a run for a process: its `pending` and `running` states, or why it was not begun.

        Raises:
            httpx.HTTPError: the API is unavailable.
        """
        body: Json = {"id": run_id, "pid": str(pid), "move": str(uuid4())}
        # It may have been begun, with the answer lost. The move's id makes asking again safe.
        until_answered = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, httpx.HTTPError) and not _is_refused(error)),
            wait=wait_fixed(AGAIN),
            stop=stop_after_delay(GIVE_UP),
            reraise=True,
        )
        return await until_answered(self._ask, body)

    async def _ask(self, body: Json) -> Json | Other:
        asked = _Asked(body, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._calling is None or self._calling.done():
            self._calling = asyncio.create_task(self._call())
        return await asked.answer

    async def _call(self) -> None:
        while batch := self._asked:
            self._asked = []
            try:
                begun = await self.api.begin([one.body for one in batch], dict(self.labels))
            except Exception as error:  # noqa: BLE001  (raised where somebody waits for it)
                for one in batch:
                    if not one.answer.done():
                        one.answer.set_exception(error)
                continue
            for one in batch:
                if not one.answer.done():
                    one.answer.set_result(_answer(begun, one.body["id"]))


def _answer(begun: dict[str, Json | None], run_id: str) -> Json | Other:
    if run_id not in begun:
        return "not begun"
    return begun[run_id] or "gone"


def _is_refused(error: httpx.HTTPError) -> bool:
    """Whether the server answered that it will not do it, rather than not at all or that it cannot now."""
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
