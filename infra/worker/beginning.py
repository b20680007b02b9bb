"""Beginning runs by the server's call for many: what slots ask for while one call is under way goes with the next.

Danger: a run that the call does not begin is claimed in Prefect's own way. One that it began is the asking slot's in any case.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import uuid4

from redrive.infra.worker.run_api import Json, RunApi


@dataclass
class _Asked:
    body: Json
    answer: asyncio.Future[Json | None]


@dataclass
class Beginning:
    """Of one worker, whose labels each run gets."""

    api: RunApi
    labels: dict[str, str]
    _asked: list[_Asked] = field(default_factory=list)
    _calling: asyncio.Task[None] | None = None

    async def of(self, run_id: str, pid: int) -> Json | None:
        """Begin a run for a process: its `pending` and `running` states; None if it was not begun.

        Raises:
            httpx.HTTPError: the API is away.
        """
        body: Json = {"id": run_id, "pid": str(pid), "move": str(uuid4())}
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
                    one.answer.set_result(begun.get(one.body["id"]))
