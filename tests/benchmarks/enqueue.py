"""How fast jobs are accepted: `enqueue` and `enqueue_many` against loops of Prefect's own single calls, interleaved on one stack,
with the server's fast calls and without them.

Two loops, because there are two ways to write one: `run_deployment(timeout=0)`, which Prefect's documentation gives, and the
bare client method with one client and the deployment's id at hand, which is the least a single call can cost.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from redrive.blocks.core.settings import settings
from redrive.deployments.acceptance import deployment_of
from redrive.deployments.enqueue import enqueue, enqueue_many
from tests.benchmarks.stack import benchmarked

ROUNDS = 3


def measure() -> dict[str, Any]:
    """Milliseconds a job in each way, three rounds in turn; prints the medians and their ratios."""
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    with benchmarked():
        for _ in range(ROUNDS):
            for name, (jobs, way, fast) in WAYS.items():
                with _fast_calls(allowed=fast):
                    found[name].append(way(jobs) / jobs)
    rows = {name: statistics.median(each) for name, each in found.items()}
    ours = rows["enqueue_many"]
    for name, seconds in rows.items():
        print(f"   {name:<26} {1000 * seconds:6.1f} ms a job  {1 / seconds:6.0f} jobs/s  {seconds / ours:5.1f} x")
    return {"rounds": found, "unit": "s a job"}


@contextmanager
def _fast_calls(*, allowed: bool) -> Iterator[None]:
    before = os.environ.pop("REDRIVE_FAST_SERVER", None)
    if not allowed:
        os.environ["REDRIVE_FAST_SERVER"] = "0"
    settings.cache_clear()
    try:
        yield
    finally:
        settings.cache_clear()
        os.environ.pop("REDRIVE_FAST_SERVER", None)
        if before is not None:
            os.environ["REDRIVE_FAST_SERVER"] = before


def _run_deployment(jobs: int) -> float:
    """What Prefect's documentation says: `run_deployment` that does not wait."""
    from prefect.deployments import run_deployment

    here = settings()
    with temporary_settings({PREFECT_API_URL: here.api_url, PREFECT_API_AUTH_STRING: here.auth_string()}):
        began = time.perf_counter()
        for _ in range(jobs):
            run_deployment("test-ok/test-ok", parameters={"folder": "/nowhere"}, timeout=0, scheduled_time=_tomorrow())
        return time.perf_counter() - began


def _single_calls(jobs: int) -> float:
    """What a Prefect user writes: one `create_flow_run_from_deployment` after another with one client."""
    here = settings()
    with (
        temporary_settings({PREFECT_API_URL: here.api_url, PREFECT_API_AUTH_STRING: here.auth_string()}),
        get_client(sync_client=True) as client,
    ):
        deployment = deployment_of("test-ok").id
        began = time.perf_counter()
        for _ in range(jobs):
            client.create_flow_run_from_deployment(deployment, parameters={"folder": "/nowhere"}, state=_later())
        return time.perf_counter() - began


def _enqueue(jobs: int) -> float:
    """One call of ours for each job, as a web application makes them."""
    began = time.perf_counter()
    for _ in range(jobs):
        enqueue("test-ok", {"folder": "/nowhere"}, delay=86_400)
    return time.perf_counter() - began


def _enqueue_many(jobs: int) -> float:
    began = time.perf_counter()
    enqueue_many("test-ok", [{"folder": "/nowhere"}] * jobs, delay=86_400)
    return time.perf_counter() - began


def _later() -> Any:
    from prefect.states import Scheduled

    return Scheduled(scheduled_time=_tomorrow())


def _tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


#: Name → jobs that tell enough, the way, and whether the fast calls are allowed. `run_deployment` is so slow that fewer tell enough.
WAYS: dict[str, tuple[int, Callable[[int], float], bool]] = {
    "run_deployment(timeout=0)": (100, _run_deployment, False),
    "client, bare": (500, _single_calls, False),
    "enqueue, plain": (300, _enqueue, False),
    "enqueue": (500, _enqueue, True),
    "enqueue_many, plain": (500, _enqueue_many, False),
    "enqueue_many": (5_000, _enqueue_many, True),
}
