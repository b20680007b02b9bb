"""What the exporter costs: with little and with much history and backlog, idle and at five jobs a second.

Beside it, on the same database, the public prometheus-prefect-exporter, if `BENCH_PREFECT_EXPORTER` names a folder with its
source (`main.py`) and `BENCH_PREFECT_EXPORTER_PYTHON` an interpreter that has what it needs.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from redrive.deployments.queues import pause_queue
from redrive.infra.local.cost import cost
from redrive.infra.local.supervisor import Supervisor
from tests.benchmarks.exporter_processes import PUBLIC, PUBLIC_PYTHON, _started
from tests.support.counting_proxy import CountingProxy, counting
from tests.support.full_prefect import FullPrefect
from tests.support.job_stack import JobStack, pointed_at
from tests.support.prefect_client import api
from tests.support.stack import free_ports
from tests.support.waiting import wait_until

#: Ended and waiting runs.
SIZES = ((1_000, 50), (200_000, 10_000))

SECONDS = float(os.environ.get("BENCH_EXPORTER_SECONDS", "60"))

SETTLE = 20

SCRAPES = 101

JOBS_PER_SECOND = 5

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one exporter cost. `scrape`: median, milliseconds; `memory`: PSS, MB; CPU in seconds over `SECONDS`."""

    scrape: float
    calls_per_minute: float
    calls_per_scrape: float
    cpu: float
    memory: float
    server_cpu: float


def measure() -> dict[str, Any]:
    """All of it; prints a table for each part."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive", retry_after=3600)
    found: dict[str, Any] = {"sizes": SIZES, "seconds": SECONDS}
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        ending.callback(stack.stop)
        stack.start()
        ending.enter_context(pointed_at(stack))
        _stop_own_exporter(stack)
        pause_queue("low", paused=True)
        found["load"] = _under_load(stack)
        ours, public = [], []
        full = FullPrefect(stack.settings, "test-ok", "low")
        before = (0, 0)
        for size in SIZES:
            full.add(ended=size[0] - before[0], waiting=size[1] - before[1])
            before = size
            ours.append(_cost_of(stack, _ours, SCRAPES))
            if PUBLIC:
                # Its scrapes read the runs themselves and take half a minute each in the large database.
                public.append(_cost_of(stack, _public, 3))
        found |= {"ours": [asdict(one) for one in ours], "public": [asdict(one) for one in public]}
    _print("this exporter", ours)
    _print("prometheus-prefect-exporter", public)
    return found


def _cost_of(stack: JobStack, start: Any, scrapes: int) -> Figures:
    server = stack.settings.api_url.removesuffix("/api")
    with counting(server) as proxy, start(stack, proxy) as (process, url):
        time.sleep(SETTLE)
        calls, cpu, began = proxy.calls, _cpu(process), time.monotonic()
        server_cpu = _server_cpu(stack)
        time.sleep(SECONDS)
        minutes = (time.monotonic() - began) / 60
        per_minute, used = (proxy.calls - calls) / minutes, _cpu(process) - cpu
        server_used = _server_cpu(stack) - server_cpu
        times = []
        calls, began = proxy.calls, time.monotonic()
        # One client for all: making one costs more than a scrape.
        with httpx.Client(timeout=600, trust_env=False) as client:
            for _ in range(scrapes):
                at = time.perf_counter()
                client.get(url).raise_for_status()
                times.append(time.perf_counter() - at)
        # What the background asked meanwhile is none of a scrape's.
        asked = proxy.calls - calls - per_minute * (time.monotonic() - began) / 60
        return Figures(
            scrape=statistics.median(times) * 1000,
            calls_per_minute=per_minute,
            calls_per_scrape=max(0.0, asked) / scrapes,
            cpu=used,
            memory=process.memory_full_info().pss / MEGABYTE,
            server_cpu=server_used,
        )


def _under_load(stack: JobStack) -> dict[str, float]:
    """CPU seconds of server and exporter in a minute of five jobs a second, without the exporter and with it."""
    pace = _Pace(stack)
    with pace:
        time.sleep(SETTLE)
        before, done = _server_cpu(stack), pace.done
        time.sleep(SECONDS)
        without, done = _server_cpu(stack) - before, pace.done - done
        server = stack.settings.api_url.removesuffix("/api")
        with counting(server) as proxy, _ours(stack, proxy) as (process, _):
            time.sleep(SETTLE)
            before, cpu, calls, done_with = _server_cpu(stack), _cpu(process), proxy.calls, pace.done
            time.sleep(SECONDS)
            used, server_with = _cpu(process) - cpu, _server_cpu(stack) - before
            calls, done_with = proxy.calls - calls, pace.done - done_with
    share = 100 * used / SECONDS
    print(
        f"   at {done_with / SECONDS:.1f} jobs/s: exporter {used:.2f} CPU s in {SECONDS:.0f} s ({share:.1f} % of a core), {calls} calls"
    )
    print(
        f"   server and database: {without:.1f} CPU s without it ({done} jobs), {server_with:.1f} with it ({done_with} jobs)"
    )
    return {"exporter": used, "calls": calls, "server_without": without, "server_with": server_with, "jobs": done_with}


class _Pace:
    """Runs that start and complete through the API, five a second, as workers would report them."""

    def __init__(self, stack: JobStack) -> None:
        self.done = 0
        auth = tuple((stack.settings.auth_string() or ":").split(":", 1))
        self._client = httpx.Client(
            base_url=stack.settings.api_url, auth=(auth[0], auth[1]), trust_env=False, timeout=60
        )
        self._deployment = api().read_deployment_by_name("test-ok/test-ok").id
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(8)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.wait(1 / JOBS_PER_SECOND):
            self._pool.submit(self._one)

    def _one(self) -> None:
        begin = {"state": {"type": "RUNNING", "name": "Running"}, "parameters": {"folder": "/nowhere"}}
        run = self._client.post(f"/deployments/{self._deployment}/create_flow_run", json=begin).json()
        end = {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True}
        self._client.post(f"/flow_runs/{run['id']}/set_state", json=end).raise_for_status()
        self.done += 1


@contextmanager
def _ours(stack: JobStack, proxy: CountingProxy) -> Iterator[tuple[psutil.Process, str]]:
    (port,) = free_ports("port").values()
    environment = {
        **stack.env,
        "REDRIVE_METRICS_PORT": str(port),
        "PREFECT_API_URL": f"{proxy.url}/api",
        "PREFECT_API_AUTH_STRING": stack.settings.auth_string() or "",
    }
    with _started([sys.executable, "-m", "redrive.dashboards.exporter"], environment, stack.project, port) as process:
        health = f"http://127.0.0.1:{port}/health"
        wait_until(lambda: httpx.get(health, trust_env=False).is_success, 120, "the exporter to be healthy")
        yield process, f"http://127.0.0.1:{port}/metrics"


@contextmanager
def _public(stack: JobStack, proxy: CountingProxy) -> Iterator[tuple[psutil.Process, str]]:
    assert PUBLIC
    (port,) = free_ports("port").values()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_API_URL": f"{proxy.url}/api",
        "PREFECT_API_AUTH_STRING": stack.settings.auth_string() or "",
        "METRICS_ADDR": "127.0.0.1",
        "METRICS_PORT": str(port),
    }
    with _started([PUBLIC_PYTHON, "main.py"], environment, Path(PUBLIC), port) as process:
        yield process, f"http://127.0.0.1:{port}/metrics"


def _stop_own_exporter(stack: JobStack) -> None:
    supervisor = Supervisor.find(stack.settings)
    assert supervisor is not None
    with supervisor:
        supervisor.stop("exporter")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _server_cpu(stack: JobStack) -> float:
    found = cost(stack.settings)
    return found["prefect"].cpu + found["postgres"].cpu


def _print(name: str, figures: list[Figures]) -> None:
    if not figures:
        return
    print(f"   {name}: {' and '.join(f'{ended:,} ended, {waiting:,} waiting' for ended, waiting in SIZES)}")
    small, large = (asdict(one) for one in figures)
    for what, unit in (
        ("scrape", "ms"), ("calls_per_minute", "calls/min"), ("calls_per_scrape", "calls a scrape"), ("cpu", f"CPU s in {SECONDS:.0f} s"),
        ("memory", "MB"), ("server_cpu", "CPU s of server and database"),
    ):  # fmt: skip
        ratio = large[what] / small[what] if small[what] else float("nan")
        print(f"   {what:<18}{small[what]:>10.2f}{large[what]:>12.2f}  x {ratio:5.2f}   {unit}")
