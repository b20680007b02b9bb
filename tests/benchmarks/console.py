"""What the console costs: the server time of each page over a large ledger and many runs, straight after they came and with no ANALYZE,
and while the jobs of a burst run; and what fifty open browsers cost it and Prefect's API.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.states import COMPLETED, RUNNING, SCHEDULED
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue, enqueue_many
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.queues import pause_queue
from tests.benchmarks.stack import benchmarked
from tests.support.console import own_console, sign_in_link
from tests.support.counting_proxy import CountingProxy, counting
from tests.support.full_ledger import fill
from tests.support.full_prefect import FullPrefect
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

#: What a browser does for as long as a page is open: where the console is, its cookies, until when.
Look = Callable[[str, dict[str, str], threading.Event], None]

#: The issue's own sizes.
DEAD = int(os.environ.get("BENCH_CONSOLE_DEAD", "100000"))
RUNS = int(os.environ.get("BENCH_CONSOLE_RUNS", "200000"))
ROUNDS = int(os.environ.get("BENCH_CONSOLE_ROUNDS", "20"))
#: Rounds while jobs run, and jobs of the burst for each of them: more than are done in a round.
BUSY_ROUNDS = int(os.environ.get("BENCH_CONSOLE_BUSY_ROUNDS", "10"))
BURST = 200
BROWSERS = 50
#: Answers are shared for some seconds; a round waits for them to be old, so that each page is made anew.
REST = 4.0
SECONDS = float(os.environ.get("BENCH_CONSOLE_SECONDS", "30"))


def measure() -> dict[str, Any]:
    """Print the table; returns its figures."""
    with benchmarked() as stack:
        # What waits stays waiting: the pages are measured, not what running it would cost the server meanwhile.
        pause_queue("default", paused=True)
        FullPrefect(stack.settings, "test-ok", "default").add(
            ended=RUNS, waiting=2_000, retrying=200, in_progress=0, analyze=False
        )
        with stack.ledger() as ledger:
            # Of the last day, the newest a moment ago: that is what a burst leaves.
            fill(ledger, rows=DEAD, analyze=False, until=datetime.now(UTC))
        pages = _pages(stack, ROUNDS)
        busy = _while_jobs_run(stack) if BUSY_ROUNDS else {}
        live = _live(stack) if SECONDS else {}
    return {"dead_letters": DEAD, "runs": RUNS, "pages_ms": pages, "pages_ms_while_jobs_run": busy, "live": live}


def _while_jobs_run(stack: JobStack) -> dict[str, tuple[float, float]]:
    """The same pages while the worker's slots are never free."""
    begin = {"folder": str(stack.folder("burst"))}
    enqueue_many("test-ok", [begin] * (BURST * (BUSY_ROUNDS + 1)), queue="high")
    waiting = Wanted(types=[SCHEDULED], queues=["high"], pools=["jobs"], deployed=False)
    asked = runs.count(waiting)
    found = _pages(stack, BUSY_ROUNDS)
    left = runs.count(waiting)
    print(f"   meanwhile {asked - left:,} jobs of the burst ran, {left:,} still waited at the end")
    _forget(waiting)
    return found


def _forget(waiting: Wanted) -> None:
    """What is left of the burst would cost the next measurement."""
    while page := runs.page(waiting, Order.DUE, limit=200).runs:
        runs.delete_if([run.id for run in page], types=[SCHEDULED])


def _pages(stack: JobStack, rounds: int) -> dict[str, tuple[float, float]]:
    with stack.ledger() as ledger:
        group = ledger.groups(Filter(status="open"), limit=1)[0]
        row = ledger.find(Filter(status="open"), limit=1).rows[0]
    with reachable():
        ended, waiting = (
            runs.page(Wanted(types=[kind], pools=["jobs"]), Order.LATEST, limit=1).runs[0].id
            for kind in (COMPLETED, SCHEDULED)
        )
    paths = {
        "overview": "/",
        "jobs": "/jobs",
        "jobs, waiting": "/jobs?q=state:waiting",
        "jobs, completed": "/jobs?q=state:completed",
        "jobs, of a type": "/jobs?q=job:test-ok",
        "jobs, by text": "/jobs?q=text:nowhere",
        "one job, ended": f"/jobs/{ended}",
        "one job, waiting": f"/jobs/{waiting}",
        "why it waits": f"/jobs/{waiting}/why",
        "failures": "/failures",
        "failures, by text": f"/failures?text={row.message.split()[0]}",
        "how many have it": f"/failures/fitting?text={row.message.split()[0]}",
        "one cause": f"/failures/{group.fingerprint}",
        "bulk acts": "/acts",
        "job types": "/types",
        "one job type": "/types/test-ok",
        "schedules": "/schedules",
        "record": "/audit",
        "slow jobs": "/slow",
        "figures 7 d": "/figures?span=7d",
    }
    times: dict[str, list[float]] = {name: [] for name in paths}
    with own_console(stack, None) as (base, _), _client(stack, base) as client:
        for number in range(rounds + 1):
            for name, path in paths.items():
                began = time.perf_counter()
                client.get(path).raise_for_status()
                # The first round loads what is loaded once.
                if number:
                    times[name].append(1000 * (time.perf_counter() - began))
            time.sleep(REST)
    print(f"   {DEAD:,} dead letters, {RUNS:,} runs, no ANALYZE; milliseconds until the whole answer is there")
    found = {}
    for name, each in times.items():
        # Between the measured ones: of few rounds, the usual estimate of a population's lies beyond the slowest.
        median, p95 = statistics.median(each), statistics.quantiles(each, n=20, method="inclusive")[-1]
        found[name] = (round(median, 1), round(p95, 1))
        print(f"   {name:<20} median {median:7.1f}   p95 {p95:7.1f}   slowest {max(each):7.1f}")
    return found


def _live(stack: JobStack) -> dict[str, float]:
    server = stack.settings.api_url.removesuffix("/api")
    job = enqueue("test-chatty", {"lines": 5, "seconds": 1_000}, queue="high").id
    wait_until(lambda: runs.by_id([job])[job].state_type == RUNNING, 180, "a job to run")
    looks: dict[str, tuple[Look, ...]] = {
        "overview": (_stream("/live"),),
        "running job": (_stream(f"/jobs/{job}/log"), _poll(f"/jobs/{job}/now", 4.0)),
    }
    found = {}
    with counting(server) as proxy, own_console(stack, proxy) as (base, process):
        for name, each in looks.items():
            for browsers in (1, BROWSERS):
                calls, core = _cost(stack, base, proxy, process, each * browsers)
                found |= {
                    f"calls_a_second_{name}_{browsers}": round(calls, 2),
                    f"core_{name}_{browsers}": round(core, 3),
                }
                print(
                    f"   {name}: {browsers:>2} open browsers: {calls:.2f} calls of Prefect's API a second, {core:.1%} of a core"
                )
    cancel_job(job)
    return found


def _cost(
    stack: JobStack, base: str, proxy: CountingProxy, process: psutil.Process, looks: tuple[Look, ...]
) -> tuple[float, float]:
    """Calls of Prefect's API a second, and the share of a core."""
    stop = threading.Event()
    with _client(stack, base) as client:
        cookies = dict(client.cookies)
    threads = [threading.Thread(target=look, args=(base, cookies, stop)) for look in looks]
    for one in threads:
        one.start()
    time.sleep(5)
    calls, cpu, began = proxy.calls, sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(SECONDS)
    seconds = time.monotonic() - began
    cost = (proxy.calls - calls) / seconds, (sum(process.cpu_times()[:2]) - cpu) / seconds
    stop.set()
    for one in threads:
        one.join()
    return cost


def _stream(path: str) -> Look:
    """Reads a stream until it is to stop."""

    def look(base: str, cookies: dict[str, str], stop: threading.Event) -> None:
        with (
            httpx.Client(base_url=base, cookies=cookies, trust_env=False, timeout=30) as client,
            client.stream("GET", path) as stream,
        ):
            for _ in stream.iter_raw():
                if stop.is_set():
                    return

    return look


def _poll(path: str, every: float) -> Look:
    """Reads a part of a page anew, as htmx does because the page is open."""

    def look(base: str, cookies: dict[str, str], stop: threading.Event) -> None:
        with httpx.Client(base_url=base, cookies=cookies, trust_env=False, timeout=30) as client:
            while not stop.wait(every):
                client.get(path, headers={"HX-Request": "true", "X-Live": "1"}).raise_for_status()

    return look


@contextmanager
def _client(stack: JobStack, base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, trust_env=False, timeout=120) as client:
        client.get(base + sign_in_link(stack, "bench", "editor").partition(str(stack.settings.console_port))[2])
        yield client
