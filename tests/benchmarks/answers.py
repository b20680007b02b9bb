"""How everything else fares while the slots are never free: the API's answers to its UI, cancellation and events.

One stack, measured at rest and under load, with the same questions at the same pace.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from redrive.deployments.enqueue import enqueue, enqueue_many
from redrive.deployments.queues import pause_queue
from tests.benchmarks.stack import benchmarked
from tests.benchmarks.worker import completed
from tests.benchmarks.worker_figures import ends_of, rate_of
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

#: What waits when the load begins, and what must still wait when the last question is answered.
JOBS, BATCH = 8000, 500
#: The queue of the load, below those of what is asked for meanwhile.
LOADED = "low"
#: Questions of the page of runs, and seconds between two.
QUERIES, APART = 60, 0.2
CANCELLATIONS, EVENTS = 8, 20
#: Seconds between two starts by the schedule, and starts that are looked at.
EVERY, STARTS = 2, 10
#: Slots of a stack's worker, as it starts by itself.
SLOTS = 4
#: Seconds until something that is asked for has happened.
PATIENCE = 120

Figures = dict[str, float]


def measure() -> dict[str, Any]:
    """Print the table; returns its figures."""
    with benchmarked() as stack:
        schedule = _Schedule(stack)
        pause_queue(LOADED, paused=True)
        ids: list[str] = []
        for _ in range(JOBS // BATCH):
            jobs = enqueue_many("test-ok", [{"folder": str(stack.folder("load"))}] * BATCH, queue=LOADED)
            ids += [str(one.id) for one in jobs]
        rest = _figures(stack, schedule)
        pause_queue(LOADED, paused=False)
        wait_until(lambda: completed(ids[:BATCH]) > SLOTS, PATIENCE, "the load to begin")
        load = _figures(stack, schedule)
        waits = JOBS - sum(completed(ids[at : at + BATCH]) for at in range(0, JOBS, BATCH))
        assert waits, "the load was over before the last question was answered"
        rate = rate_of(ends_of(ids), SLOTS)
    print(f"   {rate:.1f} jobs/s under load; {waits:,} jobs still waited at the end of it")
    print(f"   {'':<46}{'at rest':>10}{'under load':>12}{'ratio':>8}")
    for name, before in rest.items():
        print(f"   {name:<46}{before:>10.0f}{load[name]:>12.0f}{load[name] / before:>8.2f}")
    return {"jobs a second": rate, "rest": rest, "load": load}


class _Schedule:
    """A job type that starts every two seconds by its schedule, above the load."""

    def __init__(self, stack: JobStack) -> None:
        (self._deployment,) = (one for one in api().read_deployments() if one.name == "test-three")
        body = [
            {"schedule": {"interval": EVERY}, "parameters": {"folder": str(stack.folder("by-schedule")), "seconds": 0}}
        ]
        api().request("POST", f"/deployments/{self._deployment.id}/schedules", json=body).raise_for_status()

    def late(self, since: datetime) -> list[float]:
        """Milliseconds from due to Running, of the runs that were due since then."""
        wanted = {
            "deployment_id": {"any_": [str(self._deployment.id)]},
            "expected_start_time": {"after_": since.isoformat()},
        }
        found = api().request(
            "POST", "/flow_runs/filter", json={"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC"}
        )
        return [
            1000
            * (
                datetime.fromisoformat(run["start_time"]) - datetime.fromisoformat(run["expected_start_time"])
            ).total_seconds()
            for run in found.raise_for_status().json()
            if run["auto_scheduled"] and run["start_time"]
        ]


def _figures(stack: JobStack, schedule: _Schedule) -> Figures:
    """In milliseconds."""
    began = datetime.now(UTC)
    found = {f"runs filtered, {name}": each for name, each in _spread([_query() for _ in range(QUERIES)]).items()}
    found |= {
        f"waiting job cancelled, {name}": each for name, each in _spread(_each(CANCELLATIONS, _cancel_waiting)).items()
    }
    found |= {
        f"running job cancelled, {name}": each
        for name, each in _spread(_each(CANCELLATIONS, lambda: _cancel_running(stack))).items()
    }
    found |= {f"event sent and found, {name}": each for name, each in _spread(_each(EVENTS, _event)).items()}
    wait_until(lambda: len(schedule.late(began)) >= STARTS, PATIENCE, "scheduled jobs to start")
    found |= {f"scheduled job starts late, {name}": each for name, each in _spread(schedule.late(began)).items()}
    return found


def _spread(times: list[float]) -> Figures:
    return {"p50": statistics.median(times), "p95": statistics.quantiles(times, n=20, method="inclusive")[-1]}


def _each(count: int, ask: Callable[[], float]) -> list[float]:
    return [ask() for _ in range(count)]


def _query() -> float:
    """What the page of runs asks."""
    time.sleep(APART)
    began = time.perf_counter()
    api().request("POST", "/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 25}).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def _cancel_waiting() -> float:
    """From the button of the UI to Cancelled, of a job that is not due."""
    return _cancelled(str(enqueue("test-ok", {"folder": "/nowhere"}, delay=3600).id))


def _cancel_running(stack: JobStack) -> float:
    """The same, of a job that sleeps in its process."""
    folder = stack.folder("long")
    job = enqueue("test-long", {"folder": str(folder), "seconds": 300}, queue="high")
    wait_until(lambda: effects(folder, "long"), PATIENCE, "the job to run")
    return _cancelled(str(job.id))


def _cancelled(run_id: str) -> float:
    began = time.perf_counter()
    state = {"state": {"type": "CANCELLING"}, "force": False}
    api().request("POST", f"/flow_runs/{run_id}/set_state", json=state).raise_for_status()
    wait_until(lambda: _run(run_id)["state_type"] == "CANCELLED", PATIENCE, "the job to be cancelled")
    return 1000 * (time.perf_counter() - began)


def _run(run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api().request("GET", f"/flow_runs/{run_id}").json()
    return found


def _event() -> float:
    """From sending an event to finding it among the stored ones, which automations and the UI read."""
    name = f"benchmark.{uuid.uuid4().hex}"
    event = {
        "id": str(uuid.uuid4()), "event": name, "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": "benchmark"},
    }  # fmt: skip
    began = time.perf_counter()
    api().request("POST", "/events", json=[event]).raise_for_status()
    asked = {"filter": {"event": {"name": [name]}}, "limit": 1}
    wait_until(
        lambda: api().request("POST", "/events/filter", json=asked).json()["events"], PATIENCE, "the event to be stored"
    )
    return 1000 * (time.perf_counter() - began)
