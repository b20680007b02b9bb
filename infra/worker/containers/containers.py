"""Containers for the jobs of one worker: made before a run is claimed, so that what the engine refuses is known, and started after."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from redrive.blocks.core.container import Container
from redrive.blocks.core.settings import LOOPBACK
from redrive.blocks.process.container_engine import POOL, RUN, WORKER, Engine
from redrive.infra.worker.containers.container_process import ContainerProcess
from redrive.infra.worker.job_process import JobProcess
from redrive.infra.worker.job_template import WarmConfiguration
from redrive.infra.worker.log import Log

#: Variables of the worker that its jobs get in a container too, by their beginning; and those among them that they do not.
_PASSED = ("PREFECT_", "REDRIVE_", "OTEL_")
_KEPT_BACK = (
    "PREFECT_SERVER_", "PREFECT_API_DATABASE_", "PREFECT_REDIS_", "PREFECT__",
    "REDRIVE_DATABASE_", "REDRIVE_WAREHOUSE_", "REDRIVE_COMPONENT",
)  # fmt: skip
#: The folder of results, which completed steps are not repeated by.
_RESULTS = "PREFECT_RESULTS_LOCAL_STORAGE_PATH"


@dataclass
class Containers:
    """What this worker's engine can do; it is asked for the first time when a job needs it."""

    worker: str
    pool_id: str
    log: Log
    engine: Engine = field(default_factory=Engine)
    _swept: bool = False

    def for_run(self, run_id: str, config: WarmConfiguration) -> RunContainers:
        """The containers of one attempt."""
        return RunContainers(self, run_id, config)

    async def sweep(self) -> None:
        """Once: take away what workers of this pool that were killed left, containers whose job has ended.

        Raises:
            EngineUnavailable: the engine does not answer.
        """
        if self._swept:
            return
        for found in await asyncio.to_thread(self.engine.of_pool, self.pool_id):
            if found["State"] in {"exited", "dead"}:
                await asyncio.to_thread(self.engine.remove, found["Id"])
        self._swept = True


@dataclass
class RunContainers:
    """Where an attempt gets its process from, as `Children` is for warm ones."""

    of: Containers
    run_id: str
    config: WarmConfiguration
    _made: str | None = None

    async def make(self) -> None:
        """Make a container that is not started.

        Raises:
            EngineUnavailable: the engine does not answer.
            CannotContain: it refuses: no such image, network or folder.
        """
        await self.of.sweep()
        self._made = await asyncio.to_thread(self._create)

    async def take(self) -> JobProcess:
        """Start it; another one if that was taken before.

        Raises:
            ChildGone: it ended before it took an order.
            EngineUnavailable, CannotContain: as above.
        """
        if self._made is None:
            await self.make()
        container, self._made = self._made, None
        assert container is not None  # noqa: S101  (made above)
        try:
            return await ContainerProcess.started(
                self.of.engine, container, environment(dict(os.environ)), memory_limit=self.config.memory_limit
            )
        except BaseException:
            await asyncio.to_thread(self.of.engine.remove, container)
            raise

    async def give_back(self, child: JobProcess, *, retire: bool) -> None:  # noqa: ARG002  (as warm children are given back)
        await child.retire()

    async def forgo(self) -> None:
        """Take away what was not started."""
        made, self._made = self._made, None
        if made:
            await asyncio.to_thread(self.of.engine.remove, made)

    def _create(self) -> str:
        container = self.config.container
        assert container is not None  # noqa: S101  (the configuration requires it)
        return self.of.engine.create(
            _with_results(container, here=self.of.engine.is_here),
            memory=self.config.memory_limit,
            labels={WORKER: self.of.worker, RUN: self.run_id, POOL: self.of.pool_id},
            name=f"redrive-{self.run_id}-{uuid4().hex[:6]}",
            network=container.network or default_network(os.environ.get("PREFECT_API_URL", "")),
        )


def environment(worker: dict[str, str]) -> dict[str, str]:
    """What of a worker's environment its jobs have in a container: how they reach Prefect, and settings that name no database."""
    passed = {
        name: value
        for name, value in worker.items()
        if name.startswith(_PASSED) and not name.startswith(_KEPT_BACK) and name != "PREFECT_HOME"
    }
    # The worker has compared the versions; asked once more, a container could not start while the API is unavailable for a moment.
    return {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false", **passed, "PREFECT_HOME": "/tmp/prefect"}  # noqa: S108  (the container's own)


def default_network(api_url: str) -> str:
    """A network that reaches the API: on this machine's loopback only the machine's own does."""
    return "host" if (urlsplit(api_url).hostname or "127.0.0.1") in LOOPBACK else "bridge"


def _with_results(container: Container, *, here: bool) -> Container:
    """With the folder of results under the same name, where engine, worker and folder are on one machine."""
    folder = os.environ.get(_RESULTS, "")
    in_a_container = Path("/.dockerenv").exists()
    if not folder or not here or in_a_container or not Path(folder).is_dir():
        return container
    return container.model_copy(update={"mounts": (*container.mounts, f"{folder}:{folder}")})
