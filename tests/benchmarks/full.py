"""A full installation beside an empty one: throughput, start, the API's answers, and what each part of the stack costs at rest.

One stack, measured twice: as it starts, and with `BENCH_FULL_SIZES` finished runs, waiting runs and dead letters. All parts run.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil

from redrive.deployments.enqueue import enqueue, enqueue_many
from redrive.deployments.queues import pause_queue
from redrive.infra.local.supervisor import Supervisor
from tests.benchmarks.stack import benchmarked
from tests.benchmarks.worker import completed
from tests.benchmarks.worker_figures import ends_of, rate_of
from tests.benchmarks.worker_processes import cpu_of
from tests.support.console import client
from tests.support.full_ledger import fill
from tests.support.full_prefect import FullPrefect
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

#: Finished runs, waiting runs, dead letters: the issue's own sizes.
ENDED, WAITING, DEAD = (int(size) for size in os.environ.get("BENCH_FULL_SIZES", "1000000,100000,100000").split(","))
JOBS, SINGLES = 600, 30
#: Queries of the kind that Prefect's UI asks, and seconds between two.
QUERIES, APART = 30, 0.2
#: Seconds that the parts are watched at rest.
REST = 40.0
#: Slots of a stack's worker, as it starts by itself.
SLOTS = 4
PARTS = ("prefect", "postgres", "worker", "keeper", "exporter", "console")
PAGES = {"overview": "/", "jobs": "/jobs", "failures": "/failures"}

Figures = dict[str, float]


def measure() -> dict[str, Any]:
    """Print the table; returns its figures."""
    with benchmarked() as stack:
        # What waits there stays: it is what the others have to find their way through.
        pause_queue("default", paused=True)
        empty = _figures(stack)
        FullPrefect(stack.settings, "test-ok", "default").add(ended=ENDED, waiting=WAITING)
        with stack.ledger() as ledger:
            fill(ledger, rows=DEAD)
        full = _figures(stack)
    _print(empty, full)
    return {"ended": ENDED, "waiting": WAITING, "dead_letters": DEAD, "empty": empty, "full": full}


def _figures(stack: JobStack) -> Figures:
    for _ in range(SLOTS * 2):
        _start(stack)
    found = {"start p50, ms": 1000 * statistics.median(_start(stack) for _ in range(SINGLES))}
    found["runs filtered, p95, ms"] = _p95([_query() for _ in range(QUERIES)])
    found |= _burst(stack)
    found |= {f"console, {name}, p50, ms": each for name, each in _pages(stack).items()}
    found["exporter, a scrape, p50, ms"] = _scrape(stack)
    return found | _at_rest(stack)


def _start(stack: JobStack) -> float:
    """Seconds from asking for a job to its first line, with nothing else to do."""
    folder, asked = stack.folder("single"), time.time()
    enqueue("test-ok", {"folder": str(folder)}, queue="high")
    wait_until(lambda: effects(folder, "ok"), 60, "the job to start")
    began = (folder / "ok").stat().st_mtime
    # It should be over before the next one.
    time.sleep(0.4)
    return began - asked


def _burst(stack: JobStack) -> Figures:
    """Jobs a second while the slots are never free, and how soon Prefect's API answers its UI meanwhile."""
    pause_queue("high", paused=True)
    asked = enqueue_many("test-ok", [{"folder": str(stack.folder("burst"))}] * JOBS, queue="high")
    ids = [str(one.id) for one in asked]
    times: list[float] = []
    with _asking(times):
        pause_queue("high", paused=False)
        wait_until(lambda: _left(ids) == 0, 300, "the burst to be over")
    return {"jobs a second": rate_of(ends_of(ids), SLOTS), "runs filtered under load, p95, ms": _p95(times)}


@contextmanager
def _asking(times: list[float]) -> Iterator[None]:
    over = threading.Event()

    def ask() -> None:
        while not over.wait(APART):
            times.append(_query())

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def _query() -> float:
    """Milliseconds of what the page of runs asks."""
    began = time.perf_counter()
    api().request("POST", "/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 25}).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def _left(ids: list[str]) -> int:
    time.sleep(0.5)
    return len(ids) - completed(ids)


def _pages(stack: JobStack) -> Figures:
    """Milliseconds of the console's pages, each made anew."""
    times: dict[str, list[float]] = {name: [] for name in PAGES}
    with client(stack) as looking:
        for _ in range(8):
            for name, path in PAGES.items():
                began = time.perf_counter()
                looking.get(path).raise_for_status()
                times[name].append(1000 * (time.perf_counter() - began))
            # Answers are shared for some seconds.
            time.sleep(4)
    return {name: statistics.median(each[1:]) for name, each in times.items()}


def _scrape(stack: JobStack) -> float:
    url, times = f"http://127.0.0.1:{stack.settings.metrics_port}/metrics", []
    for _ in range(21):
        began = time.perf_counter()
        httpx.get(url, trust_env=False).raise_for_status()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _at_rest(stack: JobStack) -> Figures:
    """Hundredths of a core that each part takes while no job runs."""
    supervisor = Supervisor.find(stack.settings)
    assert supervisor is not None
    with supervisor:
        parts = {name: psutil.Process(supervisor.all()[name].pid) for name in PARTS}
    before = {name: cpu_of(process) for name, process in parts.items()}
    time.sleep(REST)
    return {
        f"{name} at rest, % of a core": 100 * (cpu_of(process) - before[name]) / REST for name, process in parts.items()
    }


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _print(empty: Figures, full: Figures) -> None:
    print(f"   full: {ENDED:,} finished runs, {WAITING:,} waiting, {DEAD:,} dead letters")
    print(f"   {'':<36}{'empty':>10}{'full':>10}{'ratio':>8}")
    for name, before in empty.items():
        ratio = full[name] / before if before else float("nan")
        print(f"   {name:<36}{before:>10.1f}{full[name]:>10.1f}{ratio:>8.2f}")
