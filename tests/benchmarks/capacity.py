"""What an installation bears: jobs a second and CPU a job with 1, 2 and 4 API servers, rows and disk of a job, what its deletion costs.

PostgreSQL and Valkey are a stack's own, on disk as always; API servers, Prefect's services and warm workers run as the images run
them, each worker with an API server of its own and its share of four slots. Producer and all parts share the machine's cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from psycopg import sql

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.deployments.enqueue import enqueue_many
from redrive.deployments.queues import pause_queue
from redrive.infra.local.supervisor import Supervisor
from tests.benchmarks.stack import benchmarked
from tests.benchmarks.worker import completed
from tests.benchmarks.worker_figures import ends_of, rate_of
from tests.benchmarks.worker_processes import cpu_of, stop_parts
from tests.support.job_stack import ROOT, JobStack, forget_caches
from tests.support.stack import free_ports
from tests.support.waiting import wait_until

#: API servers of each round, and jobs of one.
SERVERS = tuple(int(one) for one in os.environ.get("BENCH_API_SERVERS", "1,2,4").split(","))
JOBS = int(os.environ.get("BENCH_JOBS", "1000"))
SLOTS = 4
#: Seconds in which what servers write in batches is there.
SETTLE = 4.0
#: Parts of the stack that the images' programs stand in for, or that are no part of what is measured.
REPLACED = ("prefect", "worker", "ops-worker", "keeper", "exporter", "console", "mail")
ENDED = ["COMPLETED"]
#: Every table with what belongs to it.
TABLES = "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"

Figures = dict[str, float]


def measure() -> dict[str, Any]:
    """Print the table; returns its figures."""
    with benchmarked() as stack:
        stop_parts(stack, REPLACED)
        found = {}
        for servers in SERVERS:
            print(f"   {servers} API servers ...", flush=True)
            found[servers] = _bears(stack, servers, prune=servers == SERVERS[-1])
    _print(found)
    return {"jobs": JOBS, "by API servers": found}


def _bears(stack: JobStack, servers: int, *, prune: bool) -> Figures:
    ports = list(free_ports(*(f"api_{number}" for number in range(servers))).values())
    env = _environment(stack)
    with ExitStack() as running:

        def start(role: str, **more: str) -> psutil.Process:
            return running.enter_context(_started(stack, role, {**env, **more}))

        apis = [start("server", REDRIVE_PREFECT_PORT=str(port)) for port in ports]
        for port in ports:
            wait_until(lambda port=port: _ready(port), 60, "an API server to answer")  # type: ignore[misc]  # mypy cannot infer it
        services = start("services")
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{ports[0]}/api"
        forget_caches()
        workers = [
            start("worker", PREFECT_API_URL=f"http://127.0.0.1:{port}/api", REDRIVE_SLOTS=str(SLOTS // servers))
            for port in ports
        ]
        _burst(stack, 8 * SLOTS)
        size, cpu = _size(stack), _cpus(stack, apis, services, workers)
        figures = {"jobs a second": _burst(stack, JOBS)}
        figures |= {
            name: 1000 * (value - cpu[name]) / JOBS for name, value in _cpus(stack, apis, services, workers).items()
        }
        figures |= {name: (value - size[name]) / JOBS for name, value in _size(stack).items()}
        return figures | (_deletes(stack, apis) if prune else {})


def _burst(stack: JobStack, jobs: int) -> float:
    """Jobs a second while no slot is free."""
    folder = stack.folder("burst")
    pause_queue("default", paused=True)
    ids = [str(one.id) for one in enqueue_many("test-ok", [{"folder": str(folder)}] * jobs, queue="default")]
    time.sleep(SETTLE)
    pause_queue("default", paused=False)
    wait_until(lambda: _over(ids), 300, "the burst to be over")
    time.sleep(SETTLE)
    return rate_of(ends_of(ids), SLOTS)


def _over(ids: list[str]) -> bool:
    time.sleep(0.5)
    return completed(ids) == len(ids)


def _deletes(stack: JobStack, apis: list[psutil.Process]) -> Figures:
    """Milliseconds that the deletion of a run takes, as job `prune` does it, and of whose CPU."""
    before, began, deleted = _deleting(stack, apis), time.perf_counter(), 0
    now = datetime.now(UTC)
    for page in runs.pages(Wanted(types=ENDED, ended_before=now), Order.ENDED):
        deleted += len(runs.delete_if([run.id for run in page], types=ENDED, ended_before=now))
    after = _deleting(stack, apis)
    return {
        "deleted": deleted,
        "deletion, ms": 1000 * (time.perf_counter() - began) / deleted,
        "deletion, CPU ms": 1000 * (after - before) / deleted,
    }


def _deleting(stack: JobStack, apis: list[psutil.Process]) -> float:
    return _cpu_of(stack, "postgres") + sum(map(cpu_of, apis))


def _cpus(
    stack: JobStack, apis: list[psutil.Process], services: psutil.Process, workers: list[psutil.Process]
) -> Figures:
    return {
        "CPU ms: API": sum(map(cpu_of, apis)),
        "CPU ms: services": cpu_of(services),
        "CPU ms: worker": sum(map(cpu_of, workers)),
        "CPU ms: PostgreSQL": _cpu_of(stack, "postgres"),
        "CPU ms: Valkey": _cpu_of(stack, "valkey"),
    }


def _cpu_of(stack: JobStack, component: str) -> float:
    supervisor = Supervisor.find(stack.settings)
    assert supervisor is not None
    with supervisor:
        return cpu_of(psutil.Process(supervisor.all()[component].pid))


def _size(stack: JobStack) -> Figures:
    """Bytes of Prefect's database with its indexes, and rows of the tables that grow with jobs."""
    url = stack.settings.prefect_psycopg_url().replace("+psycopg:", ":", 1)
    found: Figures = {}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        for name, size in connection.execute(TABLES).fetchall():
            counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
            rows = float(counted[0]) if counted else 0.0
            found["bytes"] = found.get("bytes", 0.0) + size
            found["rows"] = found.get("rows", 0.0) + rows
            found[f"bytes of {name}"], found[f"rows of {name}"] = float(size), rows
        written = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
        found["bytes of WAL"] = float(written[0]) if written else 0.0
    return found


def _environment(stack: JobStack) -> dict[str, str]:
    here = stack.settings
    return {
        **{name: value for name, value in stack.env.items() if name != "REDRIVE_PREFECT_PORT"},
        "REDRIVE_DATABASE_URL": here.ledger_url().replace("+psycopg:", ":", 1),
        "REDRIVE_REDIS_URL": here.valkey_url(),
        "PREFECT_API_AUTH_STRING": here.auth_string() or "",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(here.home / "results"),
        "PREFECT_UI_STATIC_DIRECTORY": str(here.home / "ui"),
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def _started(stack: JobStack, role: str, env: dict[str, str]) -> Iterator[psutil.Process]:
    number = time.time_ns()
    env = env | {
        "PREFECT_HOME": str(stack.home / f"home-{number}"),
        "PREFECT_WORKER_WEBSERVER_PORT": str(*free_ports("port").values()),
    }
    command = [sys.executable, "-P", "-m", "redrive.infra.docker.start", role]
    with Path(stack.home, "logs", f"{role}-{number}.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/ready", timeout=2).status_code in {200, 401}
    except httpx.HTTPError:
        return False


def _print(found: dict[int, Figures]) -> None:
    for servers, figures in found.items():
        print(f"\n   {servers} API servers, a job:")
        for name, value in figures.items():
            if value >= 0.005:
                print(f"   {name:<34} {value:12,.2f}")
