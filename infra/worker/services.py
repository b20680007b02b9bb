"""The services of a worker: tasks that run as long as it does, its slots among them. One that fails ends the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from redrive.infra.worker.log import Log


class Services:
    """Of one worker. `on_failure` is called when one failed; `failure` is what it failed of."""

    def __init__(self, log: Log, on_failure: Callable[[], None]) -> None:
        self._log = log
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failure: BaseException | None = None

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it beside the others."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def end(self) -> None:
        """Cancel them all, and wait until they are through."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log.error("a part of the worker failed, so it stops", exc_info=error)
            self.failure = error
            self._on_failure()
