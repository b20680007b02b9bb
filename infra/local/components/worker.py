"""The workers that run the jobs and the housekeeping, and what they need in Prefect: work pools, queues and deployments."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import httpx

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.core.pool_names import OPS, POOL
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.request import Json, Request
from redrive.blocks.prefect.requests import pools, queues, workers
from redrive.blocks.process.notes import ProcessNotes
from redrive.infra.keeper.processes import note_worker
from redrive.infra.local import registration
from redrive.infra.local.component import Component, Program, Report
from redrive.infra.local.folders import temporary_folder
from redrive.infra.local.prefect_client import PATIENCE, ask, client_environment
from redrive.infra.local.project import import_path
from redrive.infra.local.record import Record

#: Given ones of the environment win.
_TUNING = {
    # A warm worker is woken at once; asking is for what that misses.
    "PREFECT_WORKER_QUERY_SECONDS": "5",
    # Runs submitted before their time would occupy slots and, with the worker killed, be lost.
    "PREFECT_WORKER_PREFETCH_SECONDS": "0",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    # With its database away the server answers 500: a job that is done must not fail for not being able to say so at once.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    # Completed steps are not repeated: needs their results.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
}

#: Seconds beyond the drain timeout until a worker is killed: it gives jobs back that did not finish.
STOP_SECONDS = 15


class Worker(Component):
    name = "worker"
    pool: ClassVar[str] = POOL
    #: Of a pool that is made now; one that is there keeps its own.
    pool_type: ClassVar[str] = "warm"
    needs = ("postgres", "valkey", "mail", "prefect")
    #: A worker that worked is started again at once; its nursery waits after those that did not.
    start_seconds = 1

    @property
    def stop_seconds(self) -> int:
        """Its jobs get the drain timeout, then are given back."""
        return int(self.settings.drain_timeout) + STOP_SECONDS

    @property
    def folder(self) -> Path:
        return Record.read(self.settings).project

    def prepare(self) -> None:
        try:
            self._make_queues()
        except httpx.HTTPError as error:
            raise ApiUnavailable(
                f"Prefect at {self.settings.api_url} refused to make work pool {self.pool}: {error}"
            ) from None

    def _make_queues(self) -> None:
        self._make_pool()
        for priority, queue in enumerate(self.settings.queues, 1):
            if not _ensure(self.settings, queues.create(self.pool, {"name": queue, "priority": priority})):
                ask(self.settings, queues.update(self.pool, queue, {"priority": priority}))

    def _make_pool(self) -> None:
        wanted = {"name": self.pool, "type": self.pool_type, **job_template(self.pool_type)}
        _ensure(self.settings, pools.create(wanted))

    @property
    def slots(self) -> int:
        """How many jobs it runs at once."""
        return self.settings.slots

    #: Settings of Prefect for it and its jobs.
    tuning: ClassVar[dict[str, str]] = _TUNING

    def meanwhile(self, report: Report) -> None:
        """Register the deployments while the worker's interpreter starts."""
        registration.register(self.settings, report)

    def program(self) -> Program:
        # Made by `up`; systems clean old temporary folders away.
        temporary_folder(self.settings).mkdir(mode=0o700, exist_ok=True)
        return Program(
            (sys.executable, "-P", "-m", *self._command()),
            {
                **client_environment(self.settings),
                **_job_environment(self.settings, self.folder),
                "REDRIVE_DRAIN_TIMEOUT": str(self.settings.drain_timeout),
                "REDRIVE_JOB_NICE": str(self.settings.job_nice),
            },
            {"PREFECT_WORKER_HEARTBEAT_SECONDS": str(heartbeat_seconds(self.settings)), **self.tuning},
            self._not_for_jobs(),
        )

    def _not_for_jobs(self) -> frozenset[str]:
        """What jobs could reach our databases with: they report to Prefect, and a sync has its database from a block."""
        return database_credentials(os.environ)

    def _command(self) -> tuple[str, ...]:
        limit = ("--pool", self.pool, "--limit", str(self.slots))
        if self._is_warm():
            return "redrive.infra.worker.nursery", *limit, "--folder", str(self._run_folder)
        # A new name at each start: a run labelled with an old one is known to have lost its worker.
        name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._name_file.write_text(f"{os.getpid()} {name}")
        note_worker(self.settings, name)
        return "prefect", "worker", "start", *limit, "--name", name

    def _is_warm(self) -> bool:
        """Whether the pool is of that type; somebody may have made it of another one before."""
        if self.pool_type != "warm":
            return False
        try:
            return bool(ask(self.settings, pools.read(self.pool), timeout=PATIENCE)["type"] == "warm")
        except httpx.HTTPError:
            # Most probably: it is what `up` makes.
            return True

    @property
    def working_pid(self) -> int | None:
        signed = self._signed()
        return signed[0] if signed else None

    def healthy(self) -> bool:
        signed = self._signed()
        if signed is None:
            return False  # the server calls a worker online for a minute after its end
        try:
            online = ask(self.settings, workers.of_pool(self.pool, online=True), timeout=PATIENCE)
            return any(worker["name"] == signed[1] for worker in online)
        except httpx.HTTPError:
            return False

    def _signed(self) -> tuple[int, str] | None:
        """Process id and name of the worker that works, if it lives."""
        try:
            pid, name = self._name_file.read_text().split()[:2]
        except (FileNotFoundError, ValueError):
            return None
        return (int(pid), name) if ProcessNotes.of(self.settings.home, "workers").pid(name) else None

    @property
    def _run_folder(self) -> Path:
        return self.settings.home / "run"

    @property
    def _name_file(self) -> Path:
        """Holds the process id and the name of the worker that works."""
        return self._run_folder / f"{self.name}.name"


class OpsWorker(Worker):
    """Runs the housekeeping: reviews of dead letters, pruning."""

    name = "ops-worker"
    pool = OPS
    # Two rare jobs need no warm processes that wait for them.
    pool_type = "process"
    # Prefect's own worker asks for work, and is not woken.
    tuning: ClassVar[dict[str, str]] = {**_TUNING, "PREFECT_WORKER_QUERY_SECONDS": "2"}

    @property
    def slots(self) -> int:
        return OPS_SLOTS

    def _make_queues(self) -> None:
        _ensure(self.settings, pools.create({"name": self.pool, "type": "process"}))

    def meanwhile(self, report: Report) -> None:
        """The worker of the jobs registers everything."""

    def _not_for_jobs(self) -> frozenset[str]:
        """Review and pruning work with the ledger."""
        return frozenset()


#: A review and a pruning may run side by side.
OPS_SLOTS = 2


#: Variables that hold a database of ours or of the server, and how those of Prefect's server begin.
_DATABASES = ("REDRIVE_DATABASE_URL", "REDRIVE_WAREHOUSE_URL")
_SERVER_DATABASE = ("PREFECT_API_DATABASE_", "PREFECT_SERVER_DATABASE_", "PREFECT_ORION_DATABASE_")


def database_credentials(environ: Mapping[str, str]) -> frozenset[str]:
    """Names of variables that hold the databases' addresses, or the password of one under another name."""
    passwords = {unquote(found) for name in _DATABASES if (found := urlsplit(environ.get(name, "")).password)}
    return frozenset(
        name
        for name, value in environ.items()
        if name in _DATABASES or name.startswith(_SERVER_DATABASE) or any(one in unquote(value) for one in passwords)
    )


#: Heartbeats of a worker in one lease, at least: two may be late before its jobs are reclaimed.
HEARTBEATS_PER_LEASE = 4
#: Seconds between heartbeats at most: Prefect's own default.
HEARTBEAT = 30


def heartbeat_seconds(settings: Settings) -> int:
    """Seconds between the heartbeats of this stack's workers: the lease is given, so they follow it."""
    return max(1, min(HEARTBEAT, int(settings.retry_after / HEARTBEATS_PER_LEASE)))


def _job_environment(settings: Settings, project: Path) -> dict[str, str]:
    return {
        "TMPDIR": str(temporary_folder(settings)),
        "PYTHONPATH": import_path(project),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(settings.home / "results"),
    }


def job_template(pool_type: str) -> dict[str, object]:
    """The form of a new pool, where its worker has one of its own."""
    if pool_type != "warm":
        return {}
    from redrive.infra.worker.job_template import base_job_template  # noqa: PLC0415  (Prefect's import, once, by `up`)

    return {"base_job_template": base_job_template()}


def _ensure(settings: Settings, creation: Request[Json]) -> bool:
    """Create what is missing; whether it was."""
    try:
        ask(settings, creation)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.CONFLICT:
            return False
        raise
    return True
