"""What tracing costs: the same worker and the same job, with and without it, in turn, beside a receiver that takes everything.

Jobs a second under load, CPU of the worker and memory. The receiver shares the machine, so its part is in the difference.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.contestants import Contestant
from tests.benchmarks.worker import BESIDE, Bench
from tests.benchmarks.worker_figures import Figures
from tests.benchmarks.worker_processes import stop_parts
from tests.support.bench_jobs import one_step
from tests.support.job_stack import JobStack, pointed_at
from tests.support.otlp import receiving

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
JOBS = int(os.environ.get("BENCH_JOBS", "400"))


def measure() -> dict[str, Any]:
    """`BENCH_ROUNDS` rounds of off and on, the one that begins changing; prints medians and the ratio."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive")
    found: dict[str, list[Figures]] = {"off": [], "on": []}
    try:
        stack.start()
        stop_parts(stack, BESIDE)
        with pointed_at(stack), receiving(keeps=False) as receiver:
            bench = Bench(stack, folder)
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
    assert spans >= ROUNDS * JOBS, "the traced jobs sent no spans"
    _print(found)
    return {"requests": spans, "rounds": {name: [asdict(one) for one in each] for name, each in found.items()}}


def _print(found: dict[str, list[Figures]]) -> None:
    medians = {name: statistics.median(one.rate for one in each) for name, each in found.items()}
    for name, each in found.items():
        cpu = statistics.median(one.client_cpu for one in each) * 1000
        memory = statistics.median(one.memory for one in each) / 1024**2
        rates = ", ".join(f"{one.rate:.2f}" for one in each)
        print(
            f"   tracing {name:<4} {medians[name]:6.2f} jobs/s ({rates})  worker {cpu:5.1f} ms CPU a job  {memory:4.0f} MB"
        )
    print(f"   on costs {1 - medians['on'] / medians['off']:.1%} of throughput")
