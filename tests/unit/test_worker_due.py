"""Which due run is next: counting, and looking at a made-up API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx

from redrive.infra.worker.due import SHARE, DueRuns, Share
from redrive.infra.worker.run_api import RunApi

LEVELS = {"high": 1, "default": 2, "low": 3}


class MadeUpApi:
    """Runs in memory, handed out as the server does: by priority, then by time."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str, datetime]] = []
        self.asked: list[tuple[str, ...]] = []
        self.was_asked = asyncio.Event()
        self.away = 0

    def add(self, queue: str, count: int = 1, *, seconds: float = -1) -> list[str]:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        ids = [f"{queue}-{len(self.runs) + number}" for number in range(count)]
        self.runs += [(one, queue, at) for one in ids]
        return ids

    def remove(self, run_id: str) -> None:
        self.runs = [run for run in self.runs if run[0] != run_id]

    async def queues(self, _pool: str) -> list[dict[str, Any]]:
        return [{"id": f"id-{name}", "name": name, "priority": level} for name, level in LEVELS.items()]

    async def due(self, _pool: str, *, before: datetime, queues: Iterable[str], limit: int) -> list[dict[str, Any]]:
        self.asked.append(tuple(queues))
        self.was_asked.set()
        if self.away:
            self.away -= 1
            raise httpx.ConnectError("away")
        wanted = tuple(queues) or tuple(LEVELS)
        found = sorted(
            (run for run in self.runs if run[1] in wanted and run[2] <= before),
            key=lambda run: (LEVELS[run[1]], run[2]),
        )
        return [
            {"work_queue_id": f"id-{queue}", "flow_run": {"id": one, "next_scheduled_start_time": at.isoformat()}}
            for one, queue, at in found[:limit]
        ]


def _due(api: MadeUpApi, *, queues: tuple[str, ...] = (), tick: float = 60) -> DueRuns:
    return DueRuns(cast("RunApi", api), "pool", queues=queues, tick=tick)


async def _start(due: DueRuns, api: MadeUpApi, count: int) -> list[str]:
    """Take and claim runs one by one."""
    ids = []
    for _ in range(count):
        one = await asyncio.wait_for(due.take(), 10)
        api.remove(one.id)
        due.settled(one)
        ids.append(one.id)
    return ids


def test_highest_queue_is_served_while_nothing_is_owed() -> None:
    share = Share()

    assert share.turn([1, 2, 3]) == 1
    assert share.turn([3]) == 3


def test_one_start_in_ten_belongs_to_the_queues_below() -> None:
    share = Share()
    order = []
    for _ in range(4 * SHARE):
        order.append(share.turn([1, 3]))
        share.started(order[-1])

    assert [number for number, level in enumerate(order, start=1) if level == 3] == [10, 20, 30, 40]


def test_share_of_the_lower_queues_is_shared_by_the_same_rule() -> None:
    share = Share()
    order = []
    for _ in range(SHARE * SHARE):
        order.append(share.turn([1, 2, 3]))
        share.started(order[-1])

    assert (order.count(1), order.count(2), order.count(3)) == (90, 9, 1)


def test_nothing_is_owed_to_queues_that_were_empty() -> None:
    share = Share()
    for _ in range(50):
        share.started(1)
    share.nobody_below(1)

    assert share.turn([1, 3]) == 1


def test_runs_come_by_priority_and_then_by_time() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        api.add("low", 2)
        api.add("default")
        api.add("high", 2, seconds=-1)
        api.add("high", seconds=-60)
        return await _start(_due(api), api, 6)

    assert asyncio.run(story()) == ["high-5", "high-3", "high-4", "default-2", "low-0", "low-1"]


def test_high_run_is_next_after_a_wake_up_however_long_the_backlog() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        api.add("low", 1000)
        due = _due(api)
        await _start(due, api, 3)
        api.add("high")
        due.wake("high")
        return await _start(due, api, 1)

    assert asyncio.run(story()) == ["high-997"]


def test_low_run_is_started_though_high_ones_fill_every_answer() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        api.add("high", 1000)
        api.add("low", 5)
        return await _start(_due(api), api, 40)

    order = [one.partition("-")[0] for one in asyncio.run(story())]

    assert [number for number, queue in enumerate(order, start=1) if queue == "low"] == [10, 20, 30, 40]


def test_run_is_not_handed_out_before_its_time() -> None:
    async def story() -> float:
        api = MadeUpApi()
        api.add("low", seconds=0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await _start(_due(api), api, 1)
        return loop.time() - began

    assert asyncio.run(story()) >= 0.45


def test_run_that_comes_later_in_a_high_queue_hides_nothing_that_is_due() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        api.add("high", 100, seconds=30)
        api.add("low", 2)
        return await _start(_due(api), api, 2)

    assert asyncio.run(story()) == ["low-100", "low-101"]


def test_run_being_taken_is_not_given_out_twice() -> None:
    async def story() -> set[str]:
        api = MadeUpApi()
        api.add("low", 3)
        due = _due(api)
        # Nobody has claimed them yet, so the API names them again and again.
        taken = [await asyncio.wait_for(due.take(), 10)]
        due.wake()
        taken.append(await asyncio.wait_for(due.take(), 10))
        due.wake()
        taken.append(await asyncio.wait_for(due.take(), 10))
        return {one.id for one in taken}

    assert len(asyncio.run(story())) == 3


def test_wake_up_ends_the_wait() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        due = _due(api, tick=3600)
        taking = asyncio.create_task(_start(due, api, 1))
        await api.was_asked.wait()
        ids = api.add("low")
        due.wake("low")
        assert await asyncio.wait_for(taking, 10) == ids
        return ids

    asyncio.run(story())


def test_api_that_was_unavailable_is_asked_again() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        api.add("low")
        api.away = 1
        return await _start(_due(api), api, 1)

    assert asyncio.run(story()) == ["low-0"]


def test_only_the_queues_of_the_worker_are_asked() -> None:
    async def story() -> MadeUpApi:
        api = MadeUpApi()
        api.add("high", 30)
        api.add("low")
        await _start(_due(api, queues=("high",)), api, 20)
        return api

    assert {queue for asked in asyncio.run(story()).asked for queue in asked} == {"high"}


def test_slot_that_waits_can_be_cancelled_and_the_others_go_on() -> None:
    async def story() -> list[str]:
        api = MadeUpApi()
        due = _due(api)
        first = asyncio.create_task(due.take())
        second = asyncio.create_task(_start(due, api, 1))
        await api.was_asked.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        api.add("low")
        due.wake()
        return await asyncio.wait_for(second, 10)

    assert asyncio.run(story()) == ["low-0"]
