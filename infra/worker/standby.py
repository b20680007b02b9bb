"""One that stands by: a worker in all but name. It holds a template with the jobs' modules ready and takes over when the lock is free.

Until then Prefect knows nothing of it. It gets its name in the moment it takes over, so a run that carries the old one is known
to have lost its worker.

Danger: the kernel frees the lock when its holder has ended, in whatever way. What is forked before it is opened cannot hold it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx
import prefect.main  # noqa: F401  (sets up logging, as Prefect's own commands do)
from prefect.client.orchestration import PrefectClient, get_client
from prefect.logging.loggers import get_logger
from prefect.settings import PREFECT_WORKER_HEARTBEAT_SECONDS, PREFECT_WORKER_PREFETCH_SECONDS

from redrive.blocks.prefect.requests import pools
from redrive.blocks.prefect.worker_client import WorkerClient
from redrive.blocks.process.end_notes import EndNotes
from redrive.blocks.process.notes import ProcessNotes
from redrive.blocks.process.spent_notes import SpentNotes
from redrive.infra.worker.child.code import Code
from redrive.infra.worker.children import Children, Prepared
from redrive.infra.worker.deployments import Deployments
from redrive.infra.worker.job_template import PoolSettings
from redrive.infra.worker.linux import adopt_orphans, set_name
from redrive.infra.worker.run_api import RunApi
from redrive.infra.worker.template_process import SINGLE_THREADED, BaseProcess
from redrive.infra.worker.warm_worker import WarmWorker


@dataclass(frozen=True, kw_only=True)
class NurseryFolder:
    """Where the workers of one nursery meet: a lock that whoever works holds, and notes of who that is."""

    pool: str
    limit: int
    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "worker.lock"

    @property
    def name(self) -> Path:
        """Holds process id and name of the one that works, and the process id of its nursery."""
        return self.folder / "worker.name"

    @property
    def standby(self) -> Path:
        """Holds the process id of the one that stands by, once it is ready."""
        return self.folder / "worker.standby"

    @property
    def nursery(self) -> int | None:
        """Of the last one that worked."""
        try:
            return int(self.name.read_text().split()[2])
        except (FileNotFoundError, ValueError, IndexError):
            return None

    @property
    def standing_by(self) -> int | None:
        return _first_number(self.standby)

    def count_start(self) -> None:
        """A worker takes over: as much of a start as one by the supervisor."""
        with (self.folder / "worker.starts").open("ab") as starts:
            starts.write(b".")


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None


def serve(place: NurseryFolder, code: Code) -> NoReturn:
    """Stand by, then work until told to stop."""
    set_name("warm-standby")
    for name, value in SINGLE_THREADED.items():
        os.environ.setdefault(name, value)
    adopt_orphans()
    base = BaseProcess.forked(code)
    asyncio.run(_serve(place, base))
    raise SystemExit(0)


async def _serve(place: NurseryFolder, base: BaseProcess) -> None:
    async with get_client() as client:
        children = Children(0, lambda: _modules(place.pool, client), get_logger("workers"), base=base)
        keeping = asyncio.create_task(children.keep())
        await _stand_by(place, children, keeping)
        name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        set_name("warm-worker")
        _sign(place, name)
        worker = WarmWorker(
            name=name,
            work_pool_name=place.pool,
            limit=place.limit,
            prefetch_seconds=float(PREFECT_WORKER_PREFETCH_SECONDS.value()),
            heartbeat_interval_seconds=int(PREFECT_WORKER_HEARTBEAT_SECONDS.value()),
        )
        worker.prepared = Prepared(children, keeping)
        await worker.start(printer=_report_line)


async def _stand_by(place: NurseryFolder, children: Children, keeping: asyncio.Task[None]) -> None:
    """Wait for the lock; meanwhile a template is kept ready, from the newest code."""
    free = _lock(place.lock)
    ready = asyncio.create_task(children.template_ready.wait())
    waited: set[asyncio.Future[Any]] = {keeping, free, ready}
    while True:
        done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if keeping in done:
            # It only ends by an error.
            await keeping
        if free in done:
            ready.cancel()
            return
        if ready in done:
            place.standby.write_text(str(os.getpid()))


async def _modules(pool: str, client: PrefectClient) -> Sequence[str]:
    """What the jobs of the pool load; nothing while the API does not answer."""
    try:
        asking = WorkerClient(client)
        template = (await asking.ask(pools.read(pool)))["base_job_template"]
        found = await Deployments(RunApi(asking), client).modules(pool)
    except httpx.HTTPError:
        return []
    return [*PoolSettings.of(template).preload, *found]


def _lock(path: Path) -> asyncio.Future[None]:
    """Done once this process holds the lock, until it ends. A thread waits for it: the kernel wakes it at once."""
    loop = asyncio.get_running_loop()
    held: asyncio.Future[None] = loop.create_future()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def wait() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        loop.call_soon_threadsafe(held.set_result, None)

    threading.Thread(target=wait, name="redrive-lock", daemon=True).start()
    return held


def _sign(place: NurseryFolder, name: str) -> None:
    """Note who works now."""
    if place.standing_by == os.getpid():
        # Another one may have said already that it stands by.
        place.standby.unlink(missing_ok=True)
    nursery = os.getppid()
    if place.nursery == nursery:
        place.count_start()
    # In one step: whoever reads it meanwhile must not find half of it.
    fresh = place.name.with_suffix(".new")
    fresh.write_text(f"{os.getpid()} {name} {nursery}")
    fresh.rename(place.name)
    if home := os.environ.get("REDRIVE_HOME"):
        notes = ProcessNotes.of(Path(home), "workers")
        notes.note(name)
        notes.forget_ended()
        EndNotes.of(Path(home)).forget_old()
        SpentNotes.of(Path(home)).forget_old()


def _report_line(text: str) -> None:
    print(text, flush=True)  # noqa: T201  (the component's log)
