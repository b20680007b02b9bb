"""The slots of a worker: each takes a due run, claims it, gives it to a child and sees it to its end.

Danger: nothing here may raise out of a slot. A worker that dies because one call failed takes the watch over all its jobs
with it.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from redrive.blocks.prefect.labels import ATTEMPT
from redrive.blocks.process.container_engine import CannotContain, EngineAway
from redrive.infra.worker.attempt import Attempt
from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.beginning import Beginning
from redrive.infra.worker.child_process import ChildProcess
from redrive.infra.worker.children import Children
from redrive.infra.worker.conclusion import conclude, cut_off, release
from redrive.infra.worker.containers.containers import Containers, RunContainers
from redrive.infra.worker.containers.runs import run_contained
from redrive.infra.worker.delivery import deliver
from redrive.infra.worker.deployments import Deployment, Deployments, environment
from redrive.infra.worker.due import Due, DueRuns
from redrive.infra.worker.figures import Figures
from redrive.infra.worker.identity import Identity
from redrive.infra.worker.job_process import ChildGone, JobProcess
from redrive.infra.worker.job_template import MEGABYTE, PoolSettings, WarmConfiguration
from redrive.infra.worker.kept import send_kept
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import Command
from redrive.infra.worker.run_api import Json, RunApi
from redrive.infra.worker.spans import JobSpans, Spans

#: Seconds until a slot whose run could not be taken looks for another.
PAUSE = 1.0
#: Seconds a run that must wait for a limit is left alone, at most.
LEFT_ALONE = 5.0
#: Seconds the hooks of a killed job may take.
HOOKS = 60.0


@dataclass(frozen=True, kw_only=True)
class Slots:
    """The parts a slot works with."""

    me: Identity
    api: RunApi
    due: DueRuns
    children: Children
    deployments: Deployments
    attempts: Attempts
    pool: PoolSettings
    log: Log
    beginning: Beginning
    spans: Spans
    figures: Figures
    containers: Containers
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

    async def to_its_end(
        self,
        due: Due,
        config: WarmConfiguration,
        deployment: Deployment | None,
        child: JobProcess,
        running: Json | None = None,
        source: Children | RunContainers | None = None,
    ) -> int:
        """Run a claimed run, or a begun one with its `running` state; returns what its exit code would be in a process of its own.

        Args:
            source: where the child comes from and goes back to; None for the warm ones.
        """
        source = source or self.children
        attempt = Attempt(due, config, child, self.log, flow_name=await self.deployments.flow_name(due.run["flow_id"]))
        attempt.running = running
        attempt.spans = JobSpans(self.spans)
        # The job need not wait until its run carries our name: until then the keeper sees a run that nobody signed for.
        labels = self.labels(attempt.claim)
        signed = asyncio.create_task(self.sign(due.id, labels)) if running is None else None
        due.run["labels"] = {**due.run.get("labels", {}), **labels}
        self.attempts.hold(due.id)
        try:
            while (how := await self._run(attempt, deployment)) == "untouched":
                await source.give_back(attempt.child, retire=True)
                attempt.child = await source.take()
            ending = await asyncio.shield(attempt.child.ended) if how == "died" else None
            if how == "died":
                cut_off(attempt, ending)
            if attempt.is_unreported:
                await deliver(functools.partial(send_kept, self.api, attempt), self.log)
            if signed:
                await signed
            hooks = functools.partial(self._hooks, attempt, deployment, source)
            await deliver(functools.partial(conclude, self.api, attempt, ending, self.me.name, hooks), self.log)
        finally:
            self.attempts.let_go(due.id)
            self.attempts.end(attempt)
            self.figures.count(attempt)
            await source.give_back(attempt.child, retire=self._is_spent(attempt))
        return int(attempt.done["status"]) if attempt.done else 1

    async def _run(self, attempt: Attempt, deployment: Deployment | None) -> Literal["done", "died", "untouched"]:
        try:
            self.attempts.begin(attempt)
        except ProcessLookupError:
            # It ended between the claim and this moment.
            return "untouched"
        return await attempt.run(self._order(attempt, deployment))

    async def _hooks(
        self, attempt: Attempt, deployment: Deployment | None, source: Children | RunContainers, state: Json
    ) -> None:
        """Have another child run the hooks of a job that its own process cannot run any more. Nothing is tried twice."""
        if attempt.hooked:
            return
        attempt.hooked = True
        await source.give_back(attempt.child, retire=True)
        try:
            attempt.child = await source.take()
        except (CannotContain, ChildGone, EngineAway) as error:
            self.log.warning("the hooks of job %s could not be run: %s", attempt.run_id, error)
            return
        helper = Attempt(attempt.due, attempt.config, attempt.child, self.log, flow_name=attempt.flow_name)
        # Nobody stops it for what its job was stopped for.
        helper.intent = attempt.intent or "cancel"
        try:
            self.attempts.begin(helper)
            async with asyncio.timeout(HOOKS):
                await helper.run(self._order(helper, deployment, state))
        except ProcessLookupError:
            self.log.warning("the process for the hooks of job %s ended before it could run them", attempt.run_id)
        except TimeoutError:
            self.log.warning("the hooks of job %s took more than %g s and were stopped", attempt.run_id, HOOKS)
            attempt.child.kill()
        finally:
            self.attempts.end(helper)

    async def _one(self, due: Due, child: ChildProcess) -> None:
        contained = False
        try:
            # All that may fail for want of the API comes before the claim: nobody looks after a run that was only claimed.
            deployment = await self._deployment(due)
            await self.deployments.flow_name(due.run["flow_id"])
            config = await self._settings(due, deployment)
            contained = isinstance(config, WarmConfiguration) and config.is_contained
            if not contained:
                running = None if isinstance(config, ValueError) else await self._begin(due, child)
                claimed = running is not None or await self.claim(due)
        finally:
            if not contained:
                self.due.settled(due)
        if isinstance(config, WarmConfiguration) and contained:
            await self.children.give_back(child, retire=False)
            await run_contained(self, due, config, deployment)
            return
        if not claimed:
            await self.children.give_back(child, retire=False)
            return
        if isinstance(config, ValueError):
            await self.cannot_submit(due, config)
            await self.children.give_back(child, retire=False)
            return
        try:
            await self.to_its_end(due, config, deployment, child, running)
        except Exception:
            why = f"worker {self.me.name} could not begin it"
            await deliver(functools.partial(release, self.api, due.run, why), self.log)
            raise

    async def cannot_submit(self, due: Due, error: Exception) -> None:
        """A claimed run that cannot run at all ends here, with the reason."""
        message = f"Failed to submit flow run to infrastructure: {type(error).__name__}: {error}"
        crashed: Json = {"type": "CRASHED", "name": "Crashed", "message": message}
        await self.api.transition(due.id, crashed, only_from=["PENDING"])

    def labels(self, claim: str) -> Json:
        """What says who has a run, and in which attempt."""
        return {**self.me.labels, ATTEMPT: claim}

    async def _deployment(self, due: Due) -> Deployment | None:
        deployment_id = due.run.get("deployment_id")
        deployment = await self.deployments.of(deployment_id) if deployment_id else None
        if deployment_id and deployment is None:
            # As Prefect's own worker does, and says.
            message = f"Deployment {deployment_id} no longer exists, cancelled run."
            cancelled: Json = {"type": "CANCELLED", "name": "Cancelled", "message": message}
            await self.api.transition(due.id, cancelled, only_from=["SCHEDULED"], force=True)
        return deployment

    async def _settings(self, due: Due, deployment: Deployment | None) -> WarmConfiguration | ValueError:
        """Of the job, or what is wrong with them."""
        try:
            config = await self.deployments.settings(due.run, deployment, self.me.template())
            config.require_folder()
        except ValueError as error:
            return error
        return config

    async def _begin(self, due: Due, child: ChildProcess) -> Json | None:
        """Claimed, signed and Running at once, where the server can and nothing else applies to the run; its Running state."""
        states = await self.beginning.of(due.id, child.pid)
        if states is None:
            return None
        due.run["state"] = states["pending"]
        running: Json = states["running"]
        return running

    async def claim(self, due: Due) -> bool:
        """Pending: of all workers that saw the run, one is told yes."""
        answer = await self.api.claim(due.id)
        if answer is None:
            return False
        if answer["status"] == "ACCEPT":
            due.run["state"] = answer["state"]
            return True
        if answer["status"] == "WAIT":
            await asyncio.sleep(min(LEFT_ALONE, float(answer["details"].get("delay_seconds") or 0)))
        return False

    def _order(self, attempt: Attempt, deployment: Deployment | None, state: Json | None = None) -> Command:
        return Command(
            kind="hooks" if state else "run",
            attempt=attempt.number,
            flow_run=attempt.due.run,
            entrypoint=deployment.entrypoint if deployment else None,
            env=environment(attempt.config, attempt.due.run, attempt.flow_name, deployment, self.me.environment),
            working_dir=attempt.config.working_dir,
            only_once=attempt.config.isolation != "reuse",
            running=attempt.running if state is None else None,
            state=state,
        )

    def _is_spent(self, attempt: Attempt) -> bool:
        """Whether the child has to go after this job."""
        done = attempt.done
        if done is None or attempt.intent or attempt.hooked:
            return True
        if done["left"]:
            self.log.info("process %s is replaced after job %s: %s", attempt.child.pid, attempt.run_id, done["left"])
            return True
        too_large = done["memory"] > self.pool.recycle_memory * MEGABYTE
        return too_large or attempt.child.runs >= self.pool.recycle_runs

    async def sign(self, run_id: str, labels: Json) -> None:
        """Write who has a run and in which attempt; later than at once only while that still is so."""
        late = False

        async def write() -> None:
            nonlocal late
            if not late or await self.api.latest_claim(run_id) == labels[ATTEMPT]:
                late = True
                await self.api.label(run_id, labels)

        await deliver(write, self.log)
