"""How fast jobs are accepted: `enqueue_many` against loops of Prefect's own single calls, interleaved on one stack.

Two loops, because there are two ways to write one: `run_deployment(timeout=0)`, which Prefect's documentation gives, and the
bare client method with one client and the deployment's id at hand, which is the least a single call can cost.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from redrive.deployments.enqueue import deployment_of, enqueue_many
from tests.support.job_stack import JobStack, pointed_at

JOBS = 500
#: `run_deployment` is so much slower that fewer calls tell enough.
DOCUMENTED = 100
ROUNDS = 3


def measure() -> dict[str, Any]:
    """Milliseconds a job in all three ways, three rounds in turn; prints the medians and their ratios."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive")
    try:
        stack.start()
        with pointed_at(stack):
            documented, bare, many = [], [], []
            for _ in range(ROUNDS):
                documented.append(_run_deployment() / DOCUMENTED)
                bare.append(_single_calls() / JOBS)
                many.append(_enqueue_many() / JOBS)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    ours = statistics.median(many)
    rows = {
        "run_deployment(timeout=0)": statistics.median(documented),
        "client, bare": statistics.median(bare),
        "enqueue_many": ours,
    }
    for name, seconds in rows.items():
        print(f"   {name:<26} {1000 * seconds:6.1f} ms a job  {1 / seconds:6.0f} jobs/s  {seconds / ours:5.1f} x")
    return {"jobs": JOBS, "run_deployment": documented, "client": bare, "enqueue_many": many, "unit": "s a job"}


def _run_deployment() -> float:
    """What Prefect's documentation says: `run_deployment` that does not wait."""
    from prefect.deployments import run_deployment

    from redrive.blocks.core.settings import settings

    here = settings()
    with temporary_settings({PREFECT_API_URL: here.api_url, PREFECT_API_AUTH_STRING: here.auth_string()}):
        began = time.perf_counter()
        for _ in range(DOCUMENTED):
            run_deployment("test-ok/test-ok", parameters={"folder": "/nowhere"}, timeout=0, scheduled_time=_tomorrow())
        return time.perf_counter() - began


def _single_calls() -> float:
    """What a Prefect user writes: one `create_flow_run_from_deployment` after another with one client."""
    from redrive.blocks.core.settings import settings

    here = settings()
    with (
        temporary_settings({PREFECT_API_URL: here.api_url, PREFECT_API_AUTH_STRING: here.auth_string()}),
        get_client(sync_client=True) as client,
    ):
        deployment = deployment_of("test-ok").id
        began = time.perf_counter()
        for _ in range(JOBS):
            client.create_flow_run_from_deployment(deployment, parameters={"folder": "/nowhere"}, state=_later())
        return time.perf_counter() - began


def _enqueue_many() -> float:
    began = time.perf_counter()
    enqueue_many("test-ok", [{"folder": "/nowhere"}] * JOBS, delay=86_400)
    return time.perf_counter() - began


def _later() -> Any:
    from prefect.states import Scheduled

    return Scheduled(scheduled_time=_tomorrow())


def _tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)
