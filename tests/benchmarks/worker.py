"""The worker against Prefect's own, and against RQ, Celery and pgqueuer as marks from outside: throughput, start, cost.

One stack (Postgres, Prefect's server, Valkey), one contestant after another on it, several rounds in turn. Everything is
counted from outside: time from files that the jobs write and from Prefect's record of their states, CPU and memory from /proc,
requests from the server's access log.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.utilities.callables import parameter_schema

from redrive.infra.local.supervisor import Supervisor
from redrive.infra.worker.job_template import base_job_template
from tests.benchmarks.contestants import CONTESTANTS, Contestant
from tests.benchmarks.peers import PEERS, Installed
from tests.benchmarks.worker_figures import Figures, ends_of, print_table, rate_of, steps_of_latest
from tests.benchmarks.worker_processes import cpu_of, idle_of, lines_of, memory_of, stop_parts
from tests.support.bench_flows import one_task
from tests.support.bench_flows_pandas import one_task_pandas
from tests.support.job_stack import ROOT, JobStack, pointed_at
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))

#: Names of contestants, with commas; all if not given.
ONLY = os.environ.get("BENCH_ONLY", "")

SLOTS = 4

#: Seconds between two looks at whether the jobs are done, and at the memory of all processes, which takes milliseconds for each.
LOOK, WEIGH = 0.5, 3.0

#: Jobs under load whose states are read to tell where the time goes.
SAMPLE = 40

#: Not parts of what is measured.
BESIDE = ("worker", "ops-worker", "keeper", "exporter", "console", "mail")

_REQUEST = re.compile(r'"(?:GET|POST|PATCH|PUT|DELETE) (/api/\S*)')

#: Our own questions while we measure.
_OURS = ("/api/flow_runs/count", "/api/work_pools/bench-")


def measure() -> dict[str, Any]:
    """All contestants, `BENCH_ROUNDS` rounds in turn; prints medians and ratios."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive")
    stack.env |= {"PREFECT_LOGGING_SERVER_LEVEL": "INFO"}
    contestants = [one for one in CONTESTANTS if not ONLY or one.name in ONLY.split(",")]
    found: dict[str, list[Figures]] = {one.name: [] for one in contestants}
    try:
        stack.start()
        stop_parts(stack, BESIDE)
        with pointed_at(stack):
            bench = Bench(stack, folder)
            for number in range(ROUNDS):
                for one in contestants:
                    print(f"   round {number + 1} of {ROUNDS}: {one.name} ...", flush=True)
                    found[one.name].append(bench.run(one))
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print_table(found, whole=len(contestants) == len(CONTESTANTS))
    for one in contestants:
        if one.kind in PEERS:
            print(f"   {one.name}: {PEERS[one.kind].durability}")
    return {"rounds": {name: [asdict(one) for one in each] for name, each in found.items()}}


class Bench:
    """What it takes to let contestants run on a stack."""

    def __init__(self, stack: JobStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._peers = Installed(folder, stack.settings)
        self._log = stack.home / "logs" / "prefect.log"

    def run(self, one: Contestant) -> Figures:
        """One round of one contestant."""
        return self._run_peer(one) if one.kind in PEERS else self._run_prefect(one)

    def _run_prefect(self, one: Contestant) -> Figures:
        pool = f"bench-{one.kind}"
        deployment = _deployment(pool, one)
        client = api()
        with self._worker(one, pool) as worker:
            for _ in range(SLOTS * 2):
                self._single(deployment)
            starts = [self._single(deployment) for _ in range(one.singles)]
            start_steps = steps_of_latest(deployment, one.singles)
            idle = idle_of(worker)
            client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
            ids = [str(client.create_flow_run_from_deployment(deployment).id) for _ in range(one.jobs)]
            time.sleep(2)
            server, database = self._cpu_of("prefect"), self._cpu_of("postgres")
            mine, at = cpu_of(worker), self._log.stat().st_size
            memory: list[float] = []
            client.update_work_pool(pool, WorkPoolUpdate(is_paused=False))
            _until(lambda: completed(ids) == len(ids), memory, worker)
            # Logs and task runs follow within seconds, and are part of the price.
            time.sleep(3)
            return Figures(
                rate=rate_of(ends_of(ids), SLOTS),
                starts=starts,
                server_cpu=(self._cpu_of("prefect") - server) / one.jobs,
                database_cpu=(self._cpu_of("postgres") - database) / one.jobs,
                client_cpu=(cpu_of(worker) - mine) / one.jobs,
                requests=self._requests(at) / one.jobs,
                memory=max(memory),
                idle=idle,
                start_steps=start_steps,
                load_steps=steps_of_latest(deployment, min(one.jobs, SAMPLE)),
            )

    def _run_peer(self, one: Contestant) -> Figures:
        ask = partial(self._peers.enqueue, one.kind, job=one.job)
        with self._start(self._peers.worker(one.kind, SLOTS), **self._peers.environment(one.kind)) as worker:
            told = self._folder / f"{one.kind}-warm-{time.time_ns()}"
            ask(SLOTS * 2, told)
            wait_until(lambda: lines_of(told) >= SLOTS * 2, 60, f"{one.name} to be warm")
            starts = []
            for number in range(one.singles):
                told = self._folder / f"{one.kind}-{time.time_ns()}-{number}"
                (asked,) = ask(1, told)
                wait_until(lambda told=told: lines_of(told) == 1, 60, "the job to start")  # type: ignore[misc]  # mypy cannot infer it
                starts.append(float(told.read_text()) - asked)
            idle = idle_of(worker)
            workers = [worker, *worker.children(recursive=True)]
            for process in workers:
                process.suspend()
            told = self._folder / f"{one.kind}-many-{time.time_ns()}"
            ask(one.jobs, told)
            mine, memory = cpu_of(worker), []
            for process in reversed(workers):
                process.resume()
            _until(lambda: lines_of(told) == one.jobs, memory, worker)
            return Figures(
                rate=rate_of(map(float, told.read_text().split()), SLOTS),
                starts=starts,
                client_cpu=(cpu_of(worker) - mine) / one.jobs,
                memory=max(memory),
                idle=idle,
            )

    def _single(self, deployment: Any) -> float:
        """Seconds from an accepted run to its first line, with nothing else to do."""
        told = self._folder / f"single-{time.time_ns()}"
        api().create_flow_run_from_deployment(deployment, parameters={"told": str(told)})
        asked = time.time()
        wait_until(lambda: lines_of(told) == 1, 120, "the job to start")
        # It should be over before the next one.
        time.sleep(0.4)
        return float(told.read_text()) - asked

    @contextmanager
    def _worker(self, one: Contestant, pool: str) -> Iterator[psutil.Process]:
        argv = [sys.executable, "-P", "-m", "prefect", "worker", "start", "--pool", pool, "--limit", str(SLOTS)]
        with self._start([*argv, "--name", f"bench-{time.time_ns()}"], **one.settings) as worker:
            yield worker

    @contextmanager
    def _start(self, argv: list[str], **settings: str) -> Iterator[psutil.Process]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REDRIVE_")}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self._folder),
            **settings,
        }
        environment |= {
            "PREFECT_HOME": str(self._folder / "prefect"),
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(self._folder),
        }
        with (self._folder / "worker.log").open("ab") as log:
            started = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield psutil.Process(started.pid)
        finally:
            below = psutil.Process(started.pid).children(recursive=True)
            started.terminate()
            try:
                started.wait(30)
            except subprocess.TimeoutExpired:
                started.kill()
            for process in psutil.wait_procs(below, timeout=10)[1]:
                process.kill()

    def _cpu_of(self, component: str) -> float:
        supervisor = Supervisor.find(self._stack.settings)
        assert supervisor is not None
        with supervisor:
            return cpu_of(psutil.Process(supervisor.all()[component].pid))

    def _requests(self, since: int) -> int:
        with self._log.open() as log:
            log.seek(since)
            paths = [found[1] for line in log if (found := _REQUEST.search(line))]
        polls = sum("get_scheduled_flow_runs" in path for path in paths)
        return sum(not path.startswith(_OURS) for path in paths) + polls


def _deployment(pool: str, one: Contestant) -> Any:
    client = api()
    template = {"base_job_template": base_job_template()} if one.kind == "warm" else {}
    flow = one.flow or (one_task_pandas if one.pandas else one_task)
    if pool not in {one.name for one in client.read_work_pools()}:
        client.create_work_pool(WorkPoolCreate(name=pool, type=one.kind, **template))
    return client.create_deployment(
        client.create_flow_from_name(flow.name),
        pool,
        work_pool_name=pool,
        entrypoint=f"{flow.fn.__module__}.{flow.fn.__name__}",
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
    )


def completed(ids: list[str]) -> int:
    wanted = {"flow_runs": {"id": {"any_": ids}, "state": {"type": {"any_": ["COMPLETED"]}}}}
    return int(api().request("POST", "/flow_runs/count", json=wanted).json())


def _until(over: Callable[[], bool], memory: list[float], worker: psutil.Process) -> None:
    deadline, weighed = time.monotonic() + 300, time.monotonic()
    while not over():
        assert time.monotonic() < deadline, "the jobs did not end"
        if time.monotonic() - weighed > WEIGH:
            memory.append(memory_of(worker))
            weighed = time.monotonic()
        time.sleep(LOOK)
    memory.append(memory_of(worker))
