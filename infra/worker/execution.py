"""A claimed run in a process, to its end, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Literal

from redrive.blocks.process.container_engine import CannotContain, EngineUnavailable
from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.children import Children
from redrive.infra.worker.claims import Claims
from redrive.infra.worker.conclusion import conclude, cut_off
from redrive.infra.worker.delivery import deliver
from redrive.infra.worker.deployments import Deployment, environment
from redrive.infra.worker.due import Due
from redrive.infra.worker.figures import Figures
from redrive.infra.worker.job_process import ChildGone, JobProcess
from redrive.infra.worker.job_template import MEGABYTE, PoolSettings, WarmConfiguration
from redrive.infra.worker.kept import send_kept
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import Command
from redrive.infra.worker.process_source import ProcessSource
from redrive.infra.worker.run_api import Json
from redrive.infra.worker.spans import JobSpans, Spans
from redrive.infra.worker.worker_attempt import WorkerAttempt

#: Seconds the hooks of a killed job may take.
HOOKS = 60.0


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How the runs of one worker are executed."""

    claims: Claims
    children: Children
    attempts: Attempts
    pool: PoolSettings
    log: Log
    spans: Spans
    figures: Figures

    async def to_its_end(
        self,
        due: Due,
        config: WarmConfiguration,
        deployment: Deployment | None,
        child: JobProcess,
        running: Json | None = None,
        source: ProcessSource | None = None,
    ) -> int:
        """Run a claimed run, or a begun one with its `running` state; returns what its exit code would be in a process of its own.

        Args:
            source: where the child comes from and goes back to; None for the warm ones.
        """
        source = source or self.children
        attempt = WorkerAttempt(
            due, config, child, self.log, flow_name=await self.claims.deployments.flow_name(due.run["flow_id"])
        )
        attempt.running = running
        attempt.spans = JobSpans(self.spans)
        # The job need not wait until its run carries our name: until then the keeper sees a run that nobody signed for.
        labels = self.claims.labels(attempt.claim)
        signed = asyncio.create_task(self.claims.sign(due.id, labels)) if running is None else None
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
                await deliver(functools.partial(send_kept, self.claims.api, attempt), self.log)
            if signed:
                await signed
            hooks = functools.partial(self._hooks, attempt, deployment, source)
            await deliver(
                functools.partial(conclude, self.claims.api, attempt, ending, self.claims.me.name, hooks), self.log
            )
            self.attempts.concluded(attempt)
        finally:
            self.attempts.let_go(due.id)
            self.attempts.end(attempt)
            self.figures.count(attempt)
            await source.give_back(attempt.child, retire=self._is_spent(attempt))
        return int(attempt.done["status"]) if attempt.done else 1

    async def _run(self, attempt: WorkerAttempt, deployment: Deployment | None) -> Literal["done", "died", "untouched"]:
        try:
            self.attempts.begin(attempt)
        except ProcessLookupError:
            # It ended between the claim and this moment.
            return "untouched"
        return await attempt.run(self._command(attempt, deployment))

    async def _hooks(
        self, attempt: WorkerAttempt, deployment: Deployment | None, source: ProcessSource, state: Json
    ) -> None:
        """Have another child run the hooks of a job that its own process cannot run any more. Nothing is tried twice."""
        if attempt.hooked:
            return
        attempt.hooked = True
        await source.give_back(attempt.child, retire=True)
        try:
            attempt.child = await source.take()
        except (CannotContain, ChildGone, EngineUnavailable) as error:
            self.log.warning("the hooks of job %s could not be run: %s", attempt.run_id, error)
            return
        helper = WorkerAttempt(attempt.due, attempt.config, attempt.child, self.log, flow_name=attempt.flow_name)
        # Nobody stops it for what its job was stopped for.
        helper.intent = attempt.intent or "cancel"
        try:
            self.attempts.begin(helper)
            async with asyncio.timeout(HOOKS):
                await helper.run(self._command(helper, deployment, state))
        except ProcessLookupError:
            self.log.warning("the process for the hooks of job %s ended before it could run them", attempt.run_id)
        except TimeoutError:
            self.log.warning("the hooks of job %s took more than %g s and were stopped", attempt.run_id, HOOKS)
            attempt.child.kill()
        finally:
            self.attempts.end(helper)

    def _command(self, attempt: WorkerAttempt, deployment: Deployment | None, state: Json | None = None) -> Command:
        return Command(
            kind="hooks" if state else "run",
            attempt=attempt.number,
            flow_run=attempt.due.run,
            entrypoint=deployment.entrypoint if deployment else None,
            env=environment(attempt.config, attempt.due.run, attempt.flow_name, deployment, self.claims.me.environment),
            working_dir=attempt.config.working_dir,
            only_once=attempt.config.isolation != "reuse",
            running=attempt.running if state is None else None,
            state=state,
        )

    def _is_spent(self, attempt: WorkerAttempt) -> bool:
        """Whether the child has to go after this job."""
        done = attempt.done
        if done is None or attempt.intent or attempt.hooked:
            return True
        if done["left"]:
            self.log.info("process %s is replaced after job %s: %s", attempt.child.pid, attempt.run_id, done["left"])
            return True
        too_large = done["memory"] > self.pool.recycle_memory * MEGABYTE
        return too_large or attempt.child.runs >= self.pool.recycle_runs
