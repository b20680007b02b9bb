"""What a worker looks after in regular intervals: what the event stream may have missed, and whether runs and processes agree."""

from __future__ import annotations

import asyncio

import httpx

from redrive.infra.worker.attempts import POLL, POLL_ALONE, Attempts, reap_strangers
from redrive.infra.worker.children import Children
from redrive.infra.worker.due import DueRuns
from redrive.infra.worker.log import Log
from redrive.infra.worker.reconciling import Reconciling
from redrive.infra.worker.wakeups import Wakeups


async def watch(wakeups: Wakeups, children: Children, attempts: Attempts, due: DueRuns, log: Log) -> None:
    """What the stream may have missed, and processes that jobs left behind."""
    while True:
        await asyncio.sleep(POLL if wakeups.connected else POLL_ALONE)
        if not children.expecting:
            reap_strangers(children.pids)
        try:
            await attempts.poll()
            await due.learn_queues()
        except httpx.HTTPError:
            log.debug("the API did not answer; asked again")


async def reconcile(reconciling: Reconciling, *, every: float, log: Log) -> None:
    """At every heartbeat, `every` so many seconds."""
    while True:
        await asyncio.sleep(every)
        try:
            await reconciling.compare()
        except httpx.HTTPError:
            log.debug("the API did not answer; runs are compared at the next heartbeat")
