"""The event loop of a child: one for all its async jobs, with a client that it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class EventLoop:
    """Made with the first async job."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run an async flow to its end."""
        if self._runner is None:
            self._runner = asyncio.Runner()
            self._runner.run(_keep_client())
        self._runner.run(_alone(work))


async def _keep_client() -> None:
    from redrive.blocks.prefect.private import engine  # noqa: PLC0415  (large; a process that only imports this may never need it)

    await engine.AsyncWarmClientContext().__aenter__()


async def _alone(work: Coroutine[Any, Any, Any]) -> None:
    """In a task of its own, so that context variables a job sets end with it; what it leaves running ends too."""
    try:
        await asyncio.create_task(work)
    finally:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
