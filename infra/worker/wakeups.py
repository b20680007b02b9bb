"""Wake-ups: the server's event stream says at once that a run became due, is to be cancelled, or was suspended.

One stream a worker. It is a convenience: the stream drops events when it is slow and may be unavailable, so everything it says is
also found by looking (`DueRuns`, `Attempts.poll`).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import httpx
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.events.schemas.events import Event

from redrive.blocks.prefect.states import AWAITING_RETRY, RESUMING, SUSPENDED
from redrive.infra.worker.log import Log

#: States whose event means that a run waits for a worker now. `Late` is none: such a run waited already.
DUE = ("Scheduled", AWAITING_RETRY, RESUMING)
CANCELLING = "Cancelling"
_PREFIX = "prefect.flow-run."

#: Seconds between two tries to connect, and at most.
PAUSE, PAUSE_LONGEST = 1.0, 30.0


class Listener(Protocol):
    """Who is told. Run ids are texts; `queue` is a name or None if the event does not say."""

    def due(self, queue: str | None) -> None: ...

    def cancelling(self, run_id: str) -> None: ...

    def suspended(self, run_id: str) -> None: ...

    def connected(self) -> None: ...


class Wakeups:
    """The stream of one work pool."""

    def __init__(self, pool_id: str, listener: Listener, log: Log) -> None:
        self._pool_id = pool_id
        self._listener = listener
        self._log = log
        self.connected = False

    async def run(self) -> None:
        """Listen until cancelled; connects again when the stream breaks."""
        pause = PAUSE
        while True:
            try:
                async with get_events_subscriber(filter=self._filter(), reconnection_attempts=0) as stream:
                    self.connected = True
                    pause = PAUSE
                    # What happened while nobody listened.
                    self._listener.connected()
                    async for event in stream:
                        self._notify(event)
            except (TimeoutError, OSError, httpx.HTTPError) as error:
                self._log.debug("the event stream is unavailable: %r", error)
            except Exception as error:  # noqa: BLE001  (what websockets raises is no part of its interface; looking goes on without)
                self._log.debug("the event stream broke: %r", error)
            self.connected = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_LONGEST)

    def _filter(self) -> EventFilter:
        names = [f"{_PREFIX}{name}" for name in (*DUE, CANCELLING, SUSPENDED)]
        return EventFilter(
            event=EventNameFilter(name=names),
            any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{self._pool_id}"]),
        )

    def _notify(self, event: Event) -> None:
        run_id = event.resource["prefect.resource.id"].removeprefix(_PREFIX)
        match event.event.removeprefix(_PREFIX):
            case "Cancelling":
                self._listener.cancelling(run_id)
            case "Suspended":
                self._listener.suspended(run_id)
            case _:
                self._listener.due(_queue(event))


def _queue(event: Event) -> str | None:
    for related in event.related:
        if related.role == "work-queue":
            return related.get("prefect.resource.name")
    return None
