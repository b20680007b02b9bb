"""Which due run is started next: by priority of its queue, then by its time, and no queue is passed over for ever.

`high` goes before `default` before `low`, except that of `SHARE` starts in a row one belongs to the queues below, as long as
something waits there; among those below, the same rule holds.

Danger: what was asked for is a snapshot. Another worker may have taken a run since, which its claim then says; and a run of
a higher queue may have come, so that a snapshot is used for `FRESH` seconds at most and thrown away on every wake-up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.infra.worker.run_api import RunApi

#: Of so many starts in a row one goes to a lower queue that has something due.
SHARE = 10
#: Seconds a snapshot of due runs is used.
FRESH = 1.0
#: Least seconds between two polls: wake-ups come in bursts.
GAP = 0.05
#: Runs asked for at once, beyond the slots that wait: the next ones of these slots.
AHEAD = 24
#: Seconds a run is left alone that cannot be started at the moment: it waits for a limit, or for an engine.
LEFT_ALONE = 5.0
#: Seconds until the API is asked again after it was unavailable, and at most.
PAUSE, LONGEST_PAUSE = 0.5, 10.0


@dataclass(frozen=True, kw_only=True)
class Due:
    """A run that waits, as the API gives it, with the priority of its queue (1 is served first)."""

    run: dict[str, Any]
    queue: str
    priority: int

    @property
    def id(self) -> str:
        return str(self.run["id"])

    @property
    def at(self) -> datetime:
        when = self.run.get("next_scheduled_start_time") or self.run.get("expected_start_time")
        return datetime.fromisoformat(str(when)) if when else SERVER_CLOCK.now()


class Share:
    """Decides whose turn it is: pure counting. `passed` is how many starts in a row went above a level."""

    def __init__(self) -> None:
        self._passed: dict[int, int] = {}

    def turn(self, priorities: Sequence[int]) -> int:
        """Of the priorities that have something due (ascending), the one whose turn it is."""
        for top in priorities[:-1]:
            if not self.owes(top):
                return top
        return priorities[-1]

    def owes(self, top: int) -> bool:
        """Whether the queues below `top` are owed the next start."""
        return self._passed.get(top, 0) >= SHARE - 1

    def started(self, priority: int) -> None:
        """Note a start of that priority."""
        for above in [level for level in self._passed if level < priority]:
            self._passed[above] = 0
        self._passed[priority] = self._passed.get(priority, 0) + 1

    def nobody_below(self, top: int) -> None:
        """Nothing waits below: nobody was passed over."""
        self._passed[top] = 0


class DueRuns:
    """Hands out due runs one by one to however many slots ask."""

    def __init__(self, api: RunApi, pool: str, *, queues: Sequence[str], tick: float) -> None:
        self._api = api
        self._pool = pool
        self._queues = tuple(queues)
        self._tick = tick
        self._share = Share()
        self._snapshot: deque[Due] = deque()
        self._taken_at = 0.0
        self._polled_at = 0.0
        self._next_known: datetime | None = None
        self._levels: dict[str, tuple[str, int]] = {}
        self._being_taken: set[str] = set()
        #: Until when nobody here takes a run, by the monotonic clock.
        self._left: dict[str, float] = {}
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._waiting = 0
        self._pause = 0.0
        #: Whether nothing was due at the last poll.
        self.is_empty = False
        #: When the API last answered, by this machine's clock.
        self.last_answer = datetime.now(UTC)

    def wake(self, queue: str | None = None) -> None:
        """Something became due, in that queue if known: look again before the next start."""
        if queue is None or not self._snapshot or self._is_above(queue):
            self._snapshot.clear()
        self._changed.set()

    async def learn_queues(self) -> None:
        """Read names and priorities of the pool's queues."""
        found = await self._api.queues(self._pool)
        self._levels = {one["id"]: (one["name"], one["priority"]) for one in found}

    async def take(self) -> Due:
        """The next run to start; waits until there is one. The caller claims it, and says `settled` after that."""
        self._waiting += 1
        try:
            async with self._turn:
                while True:
                    if due := self._from_snapshot():
                        self._being_taken.add(due.id)
                        return due
                    await self._poll_or_wait()
        finally:
            self._waiting -= 1

    def settled(self, due: Due) -> None:
        """A run was claimed, or could not be: should it wait again, it may be taken again."""
        self._being_taken.discard(due.id)

    def leave_alone(self, due: Due, seconds: float) -> None:
        """A run that nobody here can start at the moment: another worker may."""
        self._left[due.id] = time.monotonic() + seconds

    def _from_snapshot(self) -> Due | None:
        if not self._snapshot or time.monotonic() - self._taken_at > FRESH:
            self._snapshot.clear()
            return None
        present = sorted({due.priority for due in self._snapshot})
        turn = self._share.turn(present)
        if len(present) == 1 and self._share.owes(present[0]) and self._below(present[0]):
            # The snapshot may be full of one queue, so that nothing is known of those below.
            return None
        due = next(one for one in self._snapshot if one.priority == turn)
        self._snapshot.remove(due)
        self._share.started(due.priority)
        return due

    async def _poll_or_wait(self) -> None:
        since = time.monotonic() - self._polled_at
        if since < GAP:
            await asyncio.sleep(GAP - since)
        self._changed.clear()
        try:
            await self._poll()
        except (httpx.HTTPError, OSError):
            self._pause = min(max(PAUSE, 2 * self._pause), LONGEST_PAUSE)
            await self._wait(self._pause)
            return
        self._pause = 0.0
        if not self._snapshot:
            await self._wait(self._until_next())

    async def _poll(self) -> None:
        self._polled_at = time.monotonic()
        if not self._levels:
            await self.learn_queues()
        limit = self._waiting + AHEAD
        now = SERVER_CLOCK.now()
        horizon = now + timedelta(seconds=2 * self._tick)
        found = await self._ask(horizon, self._queues, limit)
        later = [due for due in found if due.at > now]
        ready = [due for due in found if due.at <= now]
        if later and len(found) == limit:
            # What comes later in a high queue fills the answer and hides what is due below.
            ready = await self._ask(now, self._queues, limit)
        if ready:
            ready += await self._owed(now, ready)
        self._next_known = min((due.at for due in later), default=None)
        self._snapshot = deque(ready)
        self.is_empty = not ready
        self._taken_at = time.monotonic()
        self.last_answer = datetime.now(UTC)

    async def _owed(self, now: datetime, ready: Sequence[Due]) -> list[Due]:
        """What waits below the only queue that shows, if it is owed a start."""
        present = {due.priority for due in ready}
        top = min(present)
        if len(present) > 1 or not self._share.owes(top):
            return []
        below = self._below(top)
        found = await self._ask(now, below, 1) if below else []
        if not found:
            self._share.nobody_below(top)
        return found

    async def _ask(self, before: datetime, queues: Sequence[str], limit: int) -> list[Due]:
        now = time.monotonic()
        self._left = {run_id: until for run_id, until in self._left.items() if until > now}
        found = await self._api.due(self._pool, before=before, queues=queues, limit=limit + len(self._left))
        dues = []
        for one in found:
            if one["flow_run"]["id"] in self._being_taken or one["flow_run"]["id"] in self._left:
                continue
            name, priority = self._levels.get(one["work_queue_id"], ("", 0))
            if not name:
                self._levels = {}
            dues.append(Due(run=one["flow_run"], queue=name, priority=priority))
        return dues

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            # Nobody called; time to look by ourselves.
            return

    def _until_next(self) -> float:
        if self._next_known is None:
            return self._tick
        return min(self._tick, max(0.0, (self._next_known - SERVER_CLOCK.now()).total_seconds()))

    def _below(self, priority: int) -> list[str]:
        served = [(level, name) for name, level in self._levels.values() if not self._queues or name in self._queues]
        return [name for level, name in sorted(served) if level > priority]

    def _is_above(self, queue: str) -> bool:
        levels = dict(self._levels.values())
        return queue not in levels or levels[queue] < min(due.priority for due in self._snapshot)
