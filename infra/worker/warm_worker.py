"""Prefect's worker type `warm`: `prefect worker start --pool jobs --type warm`.

Made of parts that each own one thing: `Children` (processes), `DueRuns` (what comes next), `Slots` (one job at a time each),
`Attempts` (limits and cancellation), `Wakeups` (the event stream), `Reporting`. This file puts them together, and drains.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio.abc
import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_WORKER_QUERY_SECONDS
from prefect.workers.base import BaseWorkerResult

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.private.worker import OwnWorker
from redrive.blocks.prefect.worker_client import WorkerClient
from redrive.blocks.process.worker_report import WorkerReport
from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.beginning import Beginning
from redrive.infra.worker.children import Children, Prepared
from redrive.infra.worker.claims import Claims
from redrive.infra.worker.containers.containers import Containers
from redrive.infra.worker.deployments import Deployments
from redrive.infra.worker.draining import Draining
from redrive.infra.worker.due import Due, DueRuns
from redrive.infra.worker.event_handler import EventHandler
from redrive.infra.worker.execution import Execution
from redrive.infra.worker.figures import Figures
from redrive.infra.worker.identity import Identity
from redrive.infra.worker.job_template import PoolSettings, WarmConfiguration, WarmVariables, base_job_template
from redrive.infra.worker.linux import adopt_orphans, check_platform
from redrive.infra.worker.reconciling import Reconciling
from redrive.infra.worker.reporting import Reporting
from redrive.infra.worker.run_api import RunApi
from redrive.infra.worker.services import Services
from redrive.infra.worker.slots import Slots
from redrive.infra.worker.slow_jobs import SlowJobs
from redrive.infra.worker.spans import Spans
from redrive.infra.worker.wakeups import Wakeups
from redrive.infra.worker.watching import reconcile, watch

#: Overrides the pool's drain timeout, seconds.
DRAIN_TIMEOUT = "REDRIVE_DRAIN_TIMEOUT"


class Drained(BaseException):
    """The worker was told to stop, and every job has finished or was given back. Ends Prefect's loops without cancelling them:
    what still has to be said to the API at the end would be cancelled with them.
    """


class WarmResult(BaseWorkerResult):
    """How a job's process ended."""


class WarmWorker(OwnWorker[WarmConfiguration, Any, WarmResult]):
    """Runs flows in processes that are warm already: no interpreter starts, few calls, instant start."""

    type = "warm"
    job_configuration = WarmConfiguration
    job_configuration_variables = WarmVariables
    title = "Redrive warm"
    description = "Runs flows in warm processes on this machine: they start at once, with hard limits and draining."
    _once = False
    prepared: Prepared | None = None

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """The form of a new pool."""
        return base_job_template()

    async def start(
        self,
        run_once: bool = False,  # noqa: FBT001, FBT002  (Prefect's signature)
        with_healthcheck: bool = False,  # noqa: FBT001, FBT002  (as above)
        printer: Callable[..., None] = print,
    ) -> None:
        """Run until told to stop, then drain."""
        check_platform()
        self._once = run_once
        try:
            await super().start(run_once=run_once, with_healthcheck=with_healthcheck, printer=printer)
        except* Drained:
            printer(f"Worker {self.name!r} stopped!")
        if failure := self._services.failure:
            raise failure

    async def setup(self) -> None:
        """Make the parts, and start them as soon as the pool is known."""
        adopt_orphans()
        self._draining: Draining | None = None
        self._drained = asyncio.Event()
        self._started_at = datetime.now(UTC)
        self._services = Services(self.log, self._stop_requested)
        self._ready = False
        await super().setup()
        await self._get_ready()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Prefect's loop of ticks, which here lasts until the worker has drained: the slots look for work by themselves."""
        while not self._drained.is_set():
            await self._get_ready()
            if self._ready:
                self._due.wake()
                self.polled(self._due.last_answer)
            if self._once:
                await self._nothing_due()
                return []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(float(PREFECT_WORKER_QUERY_SECONDS.value())):
                    await self._drained.wait()
        raise Drained

    async def _nothing_due(self) -> None:
        """Wait until what is due now was run (`worker start --run-once`)."""
        while not (self._ready and self._due.is_empty and len(self._slots.waiting) == self._slot_count):  # noqa: ASYNC110  (three parts have to agree)
            await asyncio.sleep(0.1)

    async def run(
        self, flow_run: FlowRun, configuration: WarmConfiguration, task_status: anyio.abc.TaskStatus[int] | None = None
    ) -> WarmResult:
        """Run one flow run in a child; what Prefect calls for runs that were submitted directly."""
        await self._get_ready()
        child = await self._children.take()
        if task_status:
            task_status.started(child.pid)
        due = Due(run=flow_run.model_dump(mode="json"), queue="", priority=0)
        status = await self._execution.to_its_end(due, configuration, None, child)
        return WarmResult(identifier=str(child.pid), status_code=status)

    async def teardown(self, *exc_info: Any) -> None:
        """End children and services; what still runs was given back before."""
        await self._services.end()
        if self._ready:
            await self._children.end()
            await self._spans.end()
            await self._figures.flush()
            await self._reporting.withdraw()
        await super().teardown(*exc_info)

    # Getting ready

    async def _get_ready(self) -> None:
        """Make the parts, once the pool is known."""
        work_pool = self.pool
        if self._ready or work_pool is None:
            return
        self._ready = True
        self._pool_settings = pool = PoolSettings.of(work_pool.base_job_template)
        self._slot_count = self.limit or pool.slots
        api = RunApi(WorkerClient(self.client))
        deployments = Deployments(api, self.client)

        async def modules() -> list[str]:
            try:
                return [*pool.preload, *await deployments.modules(self.pool_name)]
            except httpx.HTTPError:
                # Nothing is loaded ahead then; the first job of each kind is slower.
                return pool.preload

        self._attempts = Attempts(api, self.log)
        prepared = self.prepared
        self._children = prepared.children if prepared else Children(0, modules, self.log)
        self._children.want(self._slot_count, modules, self.log)
        tick = float(PREFECT_WORKER_QUERY_SECONDS.value())
        self._due = DueRuns(api, self.pool_name, queues=self.queues, tick=tick)
        self._wakeups = Wakeups(
            str(work_pool.id), EventHandler(self._due, self._attempts, self._services.begin), self.log
        )
        self._reporting = Reporting(self)
        me = Identity.of(self)
        self._spans, self._figures = Spans(self.name), Figures()
        claims = Claims(me=me, api=api, deployments=deployments, beginning=Beginning(api, me.labels), log=self.log)
        self._execution = Execution(
            claims=claims,
            children=self._children,
            attempts=self._attempts,
            pool=pool,
            log=self.log,
            spans=self._spans,
            figures=self._figures,
        )
        self._slots = Slots(
            due=self._due,
            children=self._children,
            claims=claims,
            execution=self._execution,
            containers=Containers(me.name, me.pool_id, self.log),
            log=self.log,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_requested)
        for service in (
            (prepared or self._children).keep(),
            self._attempts.watch_limits(),
            self._wakeups.run(),
            watch(self._wakeups, self._children, self._attempts, self._due, self.log),
            reconcile(
                Reconciling(api, self._attempts, self.log, pool=self.pool_name, name=self.name),
                every=self.heartbeat_interval_seconds,
                log=self.log,
            ),
            self._reporting.run(),
            self._figures.run(),
            SlowJobs(self._attempts, self._figures, api, Settings.load(), self.log).run(),
        ):
            self._services.begin(service)
        self._working = [self._services.begin(self._slots.work()) for _ in range(self._slot_count)]

    def report(self) -> WorkerReport:
        """What this worker is doing."""
        return WorkerReport(
            name=self.name,
            pool=self.pool_name,
            type=self.type,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=self._started_at.isoformat(),
            slots=self._slot_count,
            draining=self._draining is not None,
            queues=tuple(self.queues),
            busy=self._attempts.report(),
            spans=self._spans.counts,
        )

    # Stopping

    @property
    def drain_timeout(self) -> float:
        """Seconds running jobs get when the worker is told to stop."""
        return float(os.environ.get(DRAIN_TIMEOUT) or self._pool_settings.drain_timeout)

    def _stop_requested(self) -> None:
        if self._draining is None:
            self._draining = Draining(self._slots, self._attempts, self._working, self._drained, self.log)
            self._services.begin(self._draining.drain(self.drain_timeout))
        else:
            self.log.warning("told to stop once more: jobs are stopped now")
            self._services.begin(self._draining.stop_jobs())
