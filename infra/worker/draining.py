"""How a worker drains: it takes nothing new, waits for what runs, and gives the rest back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.log import Log
from redrive.infra.worker.slots import Slots

#: Seconds a worker that stops its jobs takes to give them back.
GIVE_BACK = 6.0


@dataclass(frozen=True)
class Draining:
    """Of one worker. `working` are its slots' tasks; `drained` is set when it may end."""

    slots: Slots
    attempts: Attempts
    working: Sequence[asyncio.Task[Any]]
    drained: asyncio.Event
    log: Log

    async def drain(self, seconds: float) -> None:
        """Let running jobs finish within so many seconds, then stop them."""
        self.log.info("draining: no new jobs; %s run and have %g s", len(self.attempts), seconds)
        for slot in tuple(self.slots.waiting):
            slot.cancel()
        self.slots.stop_after_this.set()
        _, unfinished = await asyncio.wait(self.working, timeout=seconds)
        if unfinished:
            await self.stop_jobs()
        self.drained.set()

    async def stop_jobs(self) -> None:
        """Stop every job and give it back to the queue."""
        for attempt in self.attempts:
            self.attempts.stop(attempt, "reschedule")
        _, unfinished = await asyncio.wait(self.working, timeout=GIVE_BACK)
        if unfinished:
            self.log.warning("%s jobs could not be given back in time; the keeper takes them back", len(unfinished))
        self.drained.set()
