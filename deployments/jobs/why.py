"""Why a job is not running: each thing that keeps a job from its start is asked of the thing itself, and said in one sentence.

The first answer is the one that counts most; the others hold too. An answer names who holds what, so that somebody can act on it.

Danger: a snapshot; the job may start while it is made. Where something cannot be asked, that is an answer, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import redis

from redrive.blocks.core.counted import counted
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.calls import Calls, counted_calls
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import deployments, pools, queues, workers
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, FINAL, IN_PROGRESS, PENDING, RUNNING, SCHEDULED
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports
from redrive.deployments.jobs.before_it import before_it
from redrive.deployments.jobs.obstacle import Obstacle
from redrive.deployments.jobs.pauses import IN_PREFECT, paused_by
from redrive.deployments.jobs.search import find_job
from redrive.deployments.jobs.states import due_of
from redrive.deployments.people.people import People

#: A job that is due for less is on its way: workers poll every few seconds.
ON_ITS_WAY: Final = timedelta(seconds=10)
#: An API that takes longer for an answer, on the average, is slow: a start takes several answers one after another.
SLOW: Final = 1.0
#: Jobs that are named where many hold the slots.
NAMED: Final = 5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Why a job is not running; `causes` in the order of their weight, never empty."""

    run: Run
    causes: tuple[Obstacle, ...]


def why(reference: str | UUID, people: People | None = None) -> Answer:
    """Why a job is not running.

    Args:
        reference: as `find_job` takes it.
        people: where who paused a queue is recorded; a connection of its own if None.

    Raises:
        NotFound, Conflict: as `find_job`.
        ApiUnavailable: nothing can be said without Prefect's API; jobs wait for it, too.
    """
    with counted_calls() as calls:
        run = find_job(reference)
        with reachable():
            causes = tuple(_causes(run, SERVER_CLOCK.now(), people))
    if run.state_type == SCHEDULED and calls.sent and calls.seconds / calls.sent > SLOW:
        causes = (*causes, _slow(calls))
    return Answer(run=run, causes=causes or (_on_its_way(run),))


def _slow(calls: Calls) -> Obstacle:
    each = calls.seconds / calls.sent
    return Obstacle(
        kind="slow",
        said=f"Prefect's API is slow: {counted(calls.sent, 'answer')} just took {each:.1f} s each, and a worker waits for several "
        "before a start; `redrive check` tells more",
    )


def _causes(run: Run, now: datetime, people: People | None) -> Iterator[Obstacle]:
    if run.state_type in FINAL:
        yield Obstacle(kind="over", said=f"it has ended: {run.state_name}{f' ({run.message})' if run.message else ''}")
        return
    if run.state_type in IN_PROGRESS:
        worker = f" on worker {run.worker}" if run.worker else ""
        yield Obstacle(kind="running", said=f"it is {run.state_name}{worker}")
        return
    if run.state_type != SCHEDULED:
        yield Obstacle(
            kind="paused", said=f"it is {run.state_name} and waits for a person's answer: open it in Prefect"
        )
        return
    due = due_of(run)
    if due is not None and due > now:
        yield _not_due(run, due)
    yield from _deployment(run)
    yield from _pool_and_queue(run, now, due, people)


def _not_due(run: Run, due: datetime) -> Obstacle:
    if run.state_name == AWAITING_RETRY:
        said = f": {run.message}" if run.message else f" at {due:%H:%M:%S}Z"
        return Obstacle(kind="retry", said=f"it waits for its next try{said}", until=due)
    return Obstacle(kind="early", said=f"it is not due before {due:%Y-%m-%d %H:%M:%S}Z", until=due)


def _deployment(run: Run) -> Iterator[Obstacle]:
    found = ask(deployments.read(run.deployment_id).or_none()) if run.deployment_id else None
    if found is None:
        yield Obstacle(
            kind="gone",
            said=f"the deployment of {run.job!r} is gone, so no worker can run it: `redrive up` registers it again, then redrive it",
        )
        return
    if found.get("paused"):
        yield Obstacle(
            kind="paused",
            said=f"its deployment {run.job!r} is paused {IN_PREFECT}; it takes that for its schedules only",
        )
    limit = found.get("global_concurrency_limit") or {}
    if (most := limit.get("limit")) is not None:
        held = _holders(Wanted(types=[RUNNING, PENDING], jobs=[run.job], deployed=False))
        # It may be claimed in this moment.
        holders = [one for one in held if one.id != run.id]
        if len(holders) >= most:
            yield Obstacle(
                kind="limit",
                said=f"job type {run.job!r} may run {counted(most, 'job')} at once, and {len(holders)} run now",
                held_by=_ids(holders),
            )


def _pool_and_queue(run: Run, now: datetime, due: datetime | None, people: People | None) -> Iterator[Obstacle]:
    pool = ask(pools.read(run.pool).or_none()) if run.pool else None
    if pool is None:
        yield Obstacle(
            kind="gone", said=f"its work pool {run.pool or '(none)'!r} is gone: `redrive up` makes ours again"
        )
        return
    if pool["is_paused"]:
        yield Obstacle(kind="paused", said=f"work pool {run.pool!r} is paused {IN_PREFECT}: resume it there")
    there = {str(one["name"]): one for one in ask(queues.of_pool(run.pool))}
    queue = there.get(run.queue)
    if queue is None:
        yield Obstacle(kind="gone", said=f"its queue {run.queue!r} is gone: `redrive up` makes ours again")
        return
    if queue["is_paused"]:
        by = paused_by(run.queue, people)
        yield Obstacle(kind="paused", said=f"queue {run.queue!r} is paused {by}: `redrive queues resume {run.queue}`")
    # Slots that are full now say nothing about a job that is due later.
    is_due = due is not None and due <= now
    if is_due:
        yield from _limits(run, pool, queue)
    yield from (cause for cause in _workers(run) if is_due or cause.kind != "busy")
    if due is not None and is_due and (message := before_it(run, there, due, now)):
        yield Obstacle(kind="behind", said=message)


def _limits(run: Run, pool: dict[str, Any], queue: dict[str, Any]) -> Iterator[Obstacle]:
    for what, name, most, wanted in (
        ("work pool", run.pool, pool.get("concurrency_limit"), Wanted(pools=[run.pool], deployed=False)),
        (
            "queue",
            run.queue,
            queue.get("concurrency_limit"),
            Wanted(pools=[run.pool], queues=[run.queue], deployed=False),
        ),
    ):
        if most is None:
            continue
        holders = _holders(wanted)
        if len(holders) >= most:
            yield Obstacle(
                kind="limit",
                said=f"{what} {name!r} may run {counted(most, 'job')} at once, and {len(holders)} run now",
                held_by=_ids(holders),
            )


def _workers(run: Run) -> Iterator[Obstacle]:
    online = ask(workers.of_pool(run.pool, online=True).or_none()) or []
    reports = _reports(run.pool)
    if not online and not reports:
        yield Obstacle(kind="nobody", said=f"no worker serves work pool {run.pool!r}: `redrive up`, or start one there")
        return
    if reports is None or len(reports) < len(online):
        # A worker that reports nothing may have room.
        return
    serving = [one for one in reports if not one.queues or run.queue in one.queues]
    if not serving:
        yield Obstacle(kind="nobody", said=f"no worker polls queue {run.queue!r}: those online serve others only")
        return
    taking = [one for one in serving if not one.draining]
    if not taking:
        yield Obstacle(kind="nobody", said="every worker is draining: it finishes what it runs and takes nothing new")
        return
    slots, busy = sum(one.slots for one in taking), [slot for one in taking for slot in one.busy]
    if len(busy) >= slots:
        first = min(busy, key=lambda slot: slot.since)
        yield Obstacle(
            kind="busy",
            said=f"all {counted(slots, 'slot')} of {counted(len(taking), 'worker')} are busy, the longest with {first.job} "
            f"since {first.since[11:19]}Z",
            held_by=tuple(UUID(slot.run_id) for slot in sorted(busy, key=lambda slot: slot.since)),
        )


def _holders(wanted: Wanted) -> list[Run]:
    held = Wanted(types=[RUNNING, PENDING], pools=wanted.pools, queues=wanted.queues, jobs=wanted.jobs, deployed=False)
    return sorted(runs.page(held, runs.Order.EXPECTED).runs, key=lambda run: run.since)


def _ids(held: list[Run]) -> tuple[UUID, ...]:
    return tuple(run.id for run in held)


def _reports(pool: str) -> list[WorkerReport] | None:
    reports = WorkerReports(settings().valkey_url())
    try:
        return [one for one in reports.all() if one.pool == pool]
    except (redis.RedisError, ValueError, TypeError, KeyError):
        return None
    finally:
        reports.close()


def _on_its_way(run: Run) -> Obstacle:
    due = due_of(run)
    waited = SERVER_CLOCK.now() - due if due else timedelta(0)
    if waited < ON_ITS_WAY:
        return Obstacle(kind="soon", said="nothing holds it: a worker takes it at its next poll, within seconds")
    return Obstacle(
        kind="unknown",
        said=f"nothing that is known holds it, and it is due for {waited.total_seconds():.0f} s: Prefect's API or the worker may be "
        "slow; `redrive check` asks them, and the worker's log says what it does",
    )
