"""A stock Prefect server of somebody who has nothing else of Redrive, with pools, workers and runs; nothing is left behind.

Danger: on PostgreSQL of its own, because Prefect's SQLite mode locks with several workers at it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import pytest

from tests.support.postgres import running_server
from tests.support.stack import free_ports
from tests.support.waiting import wait_until

Json = dict[str, Any]

#: Seconds a server, a worker or a run may take on a busy machine.
PATIENCE = 120
#: The flows that tests run; copied into the project, which knows nothing of the tests.
FLOWS = Path(__file__).with_name("warm_flows.py")
#: Runs of one bulk call, at most.
BULK = 100
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class PlainWorker:
    """One worker, started as a person would."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, name: str) -> None:
        self.process = process
        self.pid = process.pid
        self.name = name
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end in {seconds:g} s:\n{self.log[-4000:]}") from None

    def below(self) -> list[psutil.Process]:
        """Every process it started, and what those started."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def end(self) -> None:
        """However it fares: it and everything below it."""
        family = [*self.below(), *([psutil.Process(self.pid)] if self.alive else [])]
        for process in reversed(family):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(PATIENCE)


class PlainPrefect:
    """A server, and a project folder with the flows of `warm_flows.py`; `python` runs server and workers."""

    def __init__(
        self, home: Path, database: str, python: str = sys.executable, *, fast: bool = False, **server_settings: str
    ) -> None:
        self.home = home
        self.server_settings = server_settings
        self.fast = fast
        self.python = python
        self.project = home / "project"
        self.project.mkdir()
        self.port = free_ports("api")["api"]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.api = httpx.Client(base_url=self.url, timeout=PATIENCE)
        self._database = database.replace("postgresql+psycopg://", "postgresql+asyncpg://", 1)
        self._workers: list[PlainWorker] = []
        self._count = 0
        shutil.copy(FLOWS, self.project)

    def __enter__(self) -> Self:
        self._server = self._begin(
            "server",
            [] if self.fast else ["server", "start"],
            "redrive.infra.server" if self.fast else "prefect",
            PREFECT_SERVER_API_HOST="127.0.0.1",
            PREFECT_SERVER_API_PORT=str(self.port),
            PREFECT_SERVER_DATABASE_CONNECTION_URL=self._database,
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            # As the product has it: how busy the machine is decides nothing.
            PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS="300",
            **self.server_settings,
        )
        try:
            wait_until(self._answers, 2 * PATIENCE, "the server to answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        PlainWorker(self._server, self.home / "server.log", "server").end()
        self.api.close()

    # What a person does

    @property
    def env(self) -> dict[str, str]:
        """Of every command: nothing of Redrive, nothing of who runs the tests."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("REDRIVE_", "PREFECT_"))}
        return clean | {
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PYTHONPATH": str(self.project),
            "DO_NOT_TRACK": "1",
        }

    def command(self, *arguments: str, **env: str) -> str:
        """`prefect …`; what it printed."""
        done = subprocess.run(
            [self.python, "-m", "prefect", *arguments],
            env=self.env | env, cwd=self.project, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"prefect {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def pool(self, kind: str = "warm", **defaults: Any) -> str:
        """A new work pool with other defaults in its form; its name."""
        name = self._new(f"{kind}-pool")
        template = _template(kind)
        for field, value in defaults.items():
            template["variables"]["properties"][field]["default"] = value
        self._post("/work_pools/", {"name": name, "type": kind, "base_job_template": template})
        return name

    def queue(self, pool: str, name: str, priority: int) -> str:
        """A queue of a pool; its name."""
        self._post(f"/work_pools/{pool}/queues", {"name": name, "priority": priority})
        return name

    def deploy(self, flow: str, pool: str, *, queue: str | None = None, from_file: bool = False, **more: Any) -> str:
        """Deploy a flow of the project, by module or by file with a pull step; the deployment's id."""
        flow_id = self._post("/flows/", {"name": flow.replace("_", "-")})["id"]
        body: Json = {
            "name": self._new(flow),
            "flow_id": flow_id,
            "work_pool_name": pool,
            "work_queue_name": queue,
            "entrypoint": f"warm_flows.py:{flow}" if from_file else f"warm_flows.{flow}",
            "enforce_parameter_schema": False,
        }
        if from_file:
            step = "prefect.deployments.steps.set_working_directory"
            body |= {"path": ".", "pull_steps": [{step: {"directory": str(self.project)}}]}
        return str(self._post("/deployments/", body | more)["id"])

    def worker(
        self, pool: str, kind: str = "warm", *, limit: int | None = None, queues: Sequence[str] = (), **env: str
    ) -> PlainWorker:
        """`prefect worker start`, and wait until the server knows it."""
        name = self._new("worker")
        arguments = ["worker", "start", "--pool", pool, "--type", kind, "--name", name]
        if limit:
            arguments += ["--limit", str(limit)]
        for queue in queues:
            arguments += ["--work-queue", queue]
        process = self._begin(name, arguments, **{"PREFECT_WORKER_QUERY_SECONDS": "5", **env})
        worker = PlainWorker(process, self.home / f"{name}.log", name)
        self._workers.append(worker)

        def known() -> bool:
            assert worker.alive, f"the worker ended:\n{worker.log[-4000:]}"
            found = self.api.post(f"/work_pools/{pool}/workers/filter", json={})
            return found.is_success and any(one["name"] == name for one in found.json())

        wait_until(known, PATIENCE, f"{name} to be known")
        if kind == "warm":
            wait_until(lambda: len(worker.below()) > 1, PATIENCE, f"{name} to have children")
        return worker

    @contextmanager
    def working(
        self, pool: str, kind: str = "warm", *, limit: int | None = None, queues: Sequence[str] = (), **env: str
    ) -> Iterator[PlainWorker]:
        """A worker for a while; it must leave no process behind."""
        worker = self.worker(pool, kind, limit=limit, queues=queues, **env)
        try:
            yield worker
        finally:
            family = worker.below()
            if worker.alive:
                worker.signal(signal.SIGTERM)
                worker.signal(signal.SIGTERM)
                worker.wait()
            wait_until(lambda: not [one for one in family if lives(one)], 20, "the processes of the worker to end")

    def begin(self, deployment: str, *, scheduled: datetime | None = None, **parameters: Any) -> str:
        """Create a run as the UI does; its id."""
        state: Json | None = None
        if scheduled:
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": scheduled.isoformat()}}
        body: Json = {"parameters": parameters, "state": state}
        return str(self._post(f"/deployments/{deployment}/create_flow_run", body)["id"])

    def bulk(self, deployment: str, runs: Sequence[Json]) -> list[str]:
        """Create many runs; their ids."""
        ids: list[str] = []
        for first in range(0, len(runs), BULK):
            answer = self._post(f"/deployments/{deployment}/create_flow_run/bulk", list(runs[first : first + BULK]))
            ids += [str(one["flow_run_id"]) for one in answer["results"]]
        return ids

    def cancel(self, run_id: str) -> None:
        """As the UI's button does."""
        self._post(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}, "force": False})

    def suspend(self, run_id: str) -> None:
        """As somebody else than the run does it."""
        until = datetime.now(UTC) + timedelta(hours=1)
        details = {"pause_timeout": until.isoformat(), "pause_reschedule": True}
        state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
        self._post(f"/flow_runs/{run_id}/set_state", {"state": state})

    def resume(self, run_id: str) -> None:
        self._post(f"/flow_runs/{run_id}/resume", {})

    def edit(self, old: str, new: str) -> None:
        """Change the project's code on disk."""
        path = self.project / FLOWS.name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    # What there is to see

    @property
    def database(self) -> str:
        """For psycopg."""
        return self._database.replace("postgresql+asyncpg://", "postgresql://", 1)

    def run(self, run_id: str) -> Json:
        found: Json = self.api.get(f"/flow_runs/{run_id}").raise_for_status().json()
        return found

    def end_of(self, run_id: str, timeout: float = PATIENCE) -> Json:
        """The run, once it has ended."""

        def ended() -> Json | None:
            run = self.run(run_id)
            return run if run["state_type"] in FINAL else None

        run = wait_until(ended, timeout, f"run {run_id} to end, it is {self.run(run_id)['state_name']}")
        assert run is not None
        return run

    def in_state(self, run_id: str, name: str, timeout: float = PATIENCE) -> Json:
        """The run, once it is in a state of that name."""
        wait_until(lambda: self.run(run_id)["state_name"] == name, timeout, f"{run_id} to be {name}")
        return self.run(run_id)

    def states(self, run_id: str) -> list[Json]:
        """Every state the run was in, the first one first."""
        answer = self.api.get("/flow_run_states/", params={"flow_run_id": run_id})
        return sorted(answer.raise_for_status().json(), key=lambda state: str(state["timestamp"]))

    def logs(self, run_id: str) -> list[Json]:
        """Its log lines in order, those of its tasks among them."""
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        found: list[Json] = self._post("/logs/filter", body)
        return found

    def task_runs(self, run_id: str) -> list[Json]:
        """Its task runs by name."""
        body = {"task_runs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
        return sorted(self._post("/task_runs/filter", body), key=lambda one: str(one["name"]))

    def task_states(self, task_run_id: str) -> list[Json]:
        answer = self.api.get("/task_run_states/", params={"task_run_id": task_run_id})
        return sorted(answer.raise_for_status().json(), key=lambda state: str(state["timestamp"]))

    def artifacts(self, run_id: str) -> list[Json]:
        found: list[Json] = self._post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
        # Without those that Prefect makes of results.
        return [one for one in found if one["key"]]

    def runs(self, **wanted: Any) -> list[Json]:
        """At most 200 runs by a filter of the API."""
        found: list[Json] = self._post("/flow_runs/filter", {"limit": 200, **wanted})
        return found

    def all_of(self, deployment: str) -> list[Json]:
        return self.runs(deployments={"id": {"any_": [deployment]}})

    def count(self, deployment: str, kind: str) -> int:
        """How many runs of a deployment are in a state of that type."""
        wanted = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"state": {"type": {"any_": [kind]}}}}
        return int(self._post("/flow_runs/count", wanted))

    def folder(self, name: str) -> Path:
        """A new folder for what one test's flows leave."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.home))

    # Parts

    def _new(self, name: str) -> str:
        self._count += 1
        return f"{name.replace('_', '-')}-{self._count}"

    def _post(self, path: str, body: Json | list[Json]) -> Any:
        answer = self.api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _answers(self) -> bool:
        log = (self.home / "server.log").read_text()
        assert self._server.poll() is None, f"the server ended:\n{log[-4000:]}"
        try:
            return self.api.get("/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def _begin(
        self, name: str, arguments: Sequence[str], module: str = "prefect", **env: str
    ) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [self.python, "-m", module, *arguments],
                env=self.env | env, cwd=self.project, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip


def lives(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and was not reaped by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def zombies(processes: Iterable[psutil.Process]) -> list[int]:
    """Which of them ended without being reaped."""
    found = []
    for process in processes:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def moment(text: str) -> datetime:
    """A time of the API, UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _template(kind: str) -> Json:
    if kind == "warm":
        from redrive.infra.worker.job_template import base_job_template

        return base_job_template()
    from prefect.workers.process import ProcessWorker

    return ProcessWorker.get_default_base_job_template()


@contextmanager
def running_prefect(
    python: str = sys.executable, *, fast: bool = False, **server_settings: str
) -> Iterator[PlainPrefect]:
    """A server with an empty database; `fast`: Redrive's, with its calls in front of Prefect's."""
    with (
        tempfile.TemporaryDirectory(prefix="plain-prefect-", ignore_cleanup_errors=True) as folder,
        running_server() as postgres,
        PlainPrefect(Path(folder), postgres.database(), python, fast=fast, **server_settings) as prefect,
    ):
        yield prefect


@pytest.fixture(scope="session")
def plain_prefect() -> Iterator[PlainPrefect]:
    """The session's stock server; tests make pools, deployments and workers of their own."""
    with running_prefect() as prefect:
        yield prefect
