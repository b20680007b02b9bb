"""The slots of a worker: each takes a due run, claims it, gives it to a child and sees it to its end.

Danger: nothing here may raise out of a slot. A worker that dies because one call failed takes the watch over all its jobs
with it.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, field
from typing import Any

import httpx

from redrive.infra.worker.child_process import ChildProcess
from redrive.infra.worker.children import Children
from redrive.infra.worker.claims import Claims, Job
from redrive.infra.worker.conclusion import release
from redrive.infra.worker.containers.containers import Containers
from redrive.infra.worker.containers.runs import ContainedRun
from redrive.infra.worker.delivery import deliver
from redrive.infra.worker.due import Due, DueRuns
from redrive.infra.worker.execution import Execution
from redrive.infra.worker.job_template import WarmConfiguration
from redrive.infra.worker.log import Log

#: Seconds until a slot whose run could not be taken looks for another.
PAUSE = 1.0


@dataclass(frozen=True, kw_only=True)
class Slots:
    """The parts a slot works with."""

    due: DueRuns
    children: Children
    claims: Claims
    execution: Execution
    containers: Containers
    log: Log
    #: The slots that wait for work: those may be cancelled.
    waiting: set[asyncio.Task[Any]] = field(default_factory=set)
    #: Set: a slot ends with its present job.
    stop_after_this: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """One slot, until it is cancelled while it waits for work, or told to stop after its job."""
        me = asyncio.current_task()
        assert me is not None  # noqa: S101  (a coroutine runs in a task)
        while not self.stop_after_this.is_set():
            self.waiting.add(me)
            child = await self.children.take()
            try:
                due = await self.due.take()
            except asyncio.CancelledError:
                await self.children.give_back(child, retire=True)
                raise
            self.waiting.discard(me)
            try:
                # Only then is the run claimed: a child may have been killed, or have met new code, while it was idle.
                child = await self.children.instead_of(child)
                await self._one(due, child)
            except (httpx.HTTPError, OSError) as error:
                self.log.warning("run %s could not be taken, the API did not answer: %r", due.id, error)
                await self.children.give_back(child, retire=False)
                await asyncio.sleep(PAUSE)
            except Exception:
                self.log.exception("run %s could not be taken", due.id)
                await self.children.give_back(child, retire=True)
                await asyncio.sleep(PAUSE)

    async def _one(self, due: Due, child: ChildProcess) -> None:
        try:
            job = await self.claims.job(due)
        except BaseException:
            self.due.settled(due)
            raise
        if isinstance(job.settings, ValueError):
            await self._refuse(job, job.settings, child)
        elif job.settings.is_contained:
            await self.children.give_back(child, retire=False)
            source = self.containers.for_run(due.id, job.settings)
            run = ContainedRun(
                job=job,
                settings=job.settings,
                source=source,
                due=self.due,
                claims=self.claims,
                execution=self.execution,
                log=self.log,
            )
            await run.run()
        else:
            await self._run_warm(job, job.settings, child)

    async def _refuse(self, job: Job, error: ValueError, child: ChildProcess) -> None:
        """End a run that cannot run at all."""
        try:
            claimed = await self.claims.claim(job.due)
        finally:
            self.due.settled(job.due)
        if claimed:
            await self.claims.cannot_submit(job.due, error)
        await self.children.give_back(child, retire=False)

    async def _run_warm(self, job: Job, settings: WarmConfiguration, child: ChildProcess) -> None:
        due = job.due
        try:
            begun = await self.claims.begin(due, child.pid)
            claimed = begun != "gone" and (begun != "not begun" or await self.claims.claim(due))
        finally:
            self.due.settled(due)
        if not claimed:
            await self.children.give_back(child, retire=False)
            return
        try:
            running = None if isinstance(begun, str) else begun
            await self.execution.to_its_end(due, settings, job.deployment, child, running)
        except Exception:
            why = f"worker {self.claims.me.name} could not begin it"
            await deliver(functools.partial(release, self.claims.api, due.run, why), self.log)
            raise
