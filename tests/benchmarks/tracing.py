"""What tracing costs: the same worker and the same job, with and without it, in turn, beside a receiver that takes everything.

Jobs a second under load, CPU of the worker and memory. The receiver shares the machine, so its part is in the difference.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.worker import BESIDE, Bench, Contestant, _stop
from tests.benchmarks.worker_figures import Figures
from tests.support.bench_jobs import one_step
from tests.support.job_stack import JobStack, pointed_at
from tests.support.otlp import receiving

#: What asking for a job, its try, its settling and one step call, over and over; prints seconds for one of each.
OFF = """
import sys, time
from redrive.blocks.tracing import names
from redrive.blocks.tracing.creations import Creations
from redrive.blocks.tracing.operations import measured
from redrive.blocks.tracing.spans import messaging, span, started
from redrive.blocks.tracing.switch import is_on
assert not is_on()
def job():
    with Creations("mail", "high", due_at_once=True) as creations:
        creations.labels()
        creations.made(0, "run", new=True)
    is_on()
    with measured("settle", "high"), span("settle high", names.CLIENT, messaging("settle", "high")):
        pass
    is_on()
job()
began = time.perf_counter()
for _ in range(20_000):
    job()
took = (time.perf_counter() - began) / 20_000
assert not any(name.startswith("opentelemetry") for name in sys.modules)
print(took)
"""

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
JOBS = int(os.environ.get("BENCH_JOBS", "400"))


def measure() -> dict[str, Any]:
    """`BENCH_ROUNDS` rounds of off and on, the one that begins changing; prints medians and the ratio."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive")
    found: dict[str, list[Figures]] = {"off": [], "on": []}
    try:
        stack.start()
        _stop(stack, BESIDE)
        with pointed_at(stack), receiving(keeps=False) as receiver:
            bench = Bench(stack, folder, folder)
            # As a person sets it: only where.
            on = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
            for number in range(ROUNDS):
                for name in ("off", "on") if number % 2 == 0 else ("on", "off"):
                    print(f"   round {number + 1} of {ROUNDS}: tracing {name} ...", flush=True)
                    one = Contestant(
                        name=name, kind="warm", jobs=JOBS, singles=5, flow=one_step, settings=on if name == "on" else {}
                    )
                    found[name].append(bench.run(one))
            spans = receiver.taken
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    off = _off()
    assert spans >= ROUNDS * JOBS, "the traced jobs sent no spans"
    _print(found, off)
    return {
        "requests": spans,
        "off": off,
        "rounds": {name: [asdict(one) for one in each] for name, each in found.items()},
    }


def _off() -> float:
    """Seconds that a job of one step spends, all in all, on spans that nobody asked for: in a process without `OTEL_*`."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True, env=bare)
    return float(done.stdout)


def _print(found: dict[str, list[Figures]], off: float) -> None:
    medians = {name: statistics.median(one.rate for one in each) for name, each in found.items()}
    for name, each in found.items():
        cpu = statistics.median(one.client_cpu for one in each) * 1000
        memory = statistics.median(one.memory for one in each) / 1024**2
        rates = ", ".join(f"{one.rate:.2f}" for one in each)
        print(
            f"   tracing {name:<4} {medians[name]:6.2f} jobs/s ({rates})  worker {cpu:5.1f} ms CPU a job  {memory:4.0f} MB"
        )
    job = statistics.median(one.client_cpu for one in found["off"])
    print(f"   off costs {off * 1e6:.0f} µs a job, {off / job:.2%} of its CPU")
    print(f"   on costs {1 - medians['on'] / medians['off']:.1%} of throughput")
