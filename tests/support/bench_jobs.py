"""A job with one step, for benchmarks of what Redrive's own engine costs."""

from __future__ import annotations

import time
from pathlib import Path

from redrive.blocks.core.retry import RetryPolicy
from redrive.deployments.job_type import JobType
from redrive.flows.engine.job import job, step

ONE_STEP = JobType("bench-one-step", entrypoint="tests.support.bench_jobs.one_step", policy=RetryPolicy(max_tries=1))


@job(ONE_STEP)
def one_step(told: str = "") -> None:
    """Write down when it ran, if it is told where."""
    note(told)


@step(reuse=False)
def note(told: str) -> None:
    if told:
        with Path(told).open("a") as file:
            file.write(f"{time.time()}\n")
