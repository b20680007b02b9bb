"""Due jobs start at once, in the order of their queues, each once; no queue is passed over for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient

from redrive.blocks.prefect.worker_client import WorkerClient
from redrive.infra.worker.run_api import RunApi
from tests.support.plain_prefect import PATIENCE, Json, PlainPrefect, moment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(1200)

#: Polling alone would take a minute: what starts sooner was woken.
WOKEN = {"PREFECT_WORKER_QUERY_SECONDS": "60"}
#: Seconds that tell the two apart on a busy machine.
AT_ONCE = 15.0
#: Waiting `low` jobs: more than one answer of the API holds (200).
BACKLOG = 300
#: Seconds between two polls of the worker whose jobs have a schedule, and between those jobs. Four of them in a row cannot all be
#: due shortly before a poll, so a worker that starts them only when it polls is late for some by more than AT_ONCE.
POLLED_EVERY = 30
SCHEDULED_EVERY = 7


@pytest.fixture(scope="module")
def scheduled(plain_prefect: PlainPrefect) -> Iterator[str]:
    """A deployment with a schedule, and a worker; both begin before this file's other tests, whose seconds they need."""
    pool = plain_prefect.pool()
    every = {"interval": SCHEDULED_EVERY, "anchor_date": datetime.now(UTC).isoformat()}
    with plain_prefect.working(pool, limit=2, PREFECT_WORKER_QUERY_SECONDS=str(POLLED_EVERY)):
        parameters = {"folder": str(plain_prefect.folder("schedule"))}
        deployment = plain_prefect.deploy(
            "quick", pool, parameters=parameters, schedules=[{"schedule": every, "active": True}]
        )
        yield deployment
        plain_prefect.api.delete(f"/deployments/{deployment}").raise_for_status()


@pytest.mark.usefixtures("scheduled")
def test_job_starts_at_once_without_polling(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool)
    folder = str(plain_prefect.folder("woken"))
    with plain_prefect.working(pool, limit=2, **WOKEN):
        plain_prefect.end_of(plain_prefect.begin(deployment, folder=folder))

        runs = [plain_prefect.end_of(plain_prefect.begin(deployment, folder=folder)) for _ in range(3)]
        soon = datetime.now(UTC) + timedelta(seconds=5)
        later = plain_prefect.end_of(plain_prefect.begin(deployment, scheduled=soon, folder=folder))

    for run in runs:
        assert _waited(run) < AT_ONCE
    assert 0 <= _waited(later) < AT_ONCE


def test_first_job_of_a_process_loads_nothing(plain_prefect: PlainPrefect) -> None:
    pool, folder = plain_prefect.pool(), plain_prefect.folder("loaded")
    deployment = plain_prefect.deploy("loaded", pool)
    with plain_prefect.working(pool, limit=1, **WOKEN):
        for _ in range(2):
            assert (
                plain_prefect.end_of(plain_prefect.begin(deployment, folder=str(folder)))["state_name"] == "Completed"
            )

    first, second = (json.loads(line) for line in (folder / "loaded").read_text().splitlines())
    assert first["pid"] == second["pid"]
    # What beginning and ending the first one took was there already.
    assert set(second["value"]) == set(first["value"])


def test_worker_that_runs_once_runs_what_is_due_and_ends(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool)
    folder = str(plain_prefect.folder("once"))
    runs = [plain_prefect.begin(deployment, folder=folder) for _ in range(5)]
    later = plain_prefect.begin(deployment, scheduled=datetime.now(UTC) + timedelta(hours=1), folder=folder)

    plain_prefect.command("worker", "start", "--pool", pool, "--limit", "2", "--run-once")

    assert {plain_prefect.run(run)["state_type"] for run in runs} == {"COMPLETED"}
    assert plain_prefect.run(later)["state_type"] == "SCHEDULED"


def test_job_whose_folder_is_missing_says_so(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool, job_variables={"working_dir": "/no/such/folder"})
    with plain_prefect.working(pool, limit=1):
        run = plain_prefect.in_state(plain_prefect.begin(deployment, folder="."), "Crashed")

    assert "/no/such/folder is no folder on this machine" in run["state"]["message"]


@pytest.mark.slow
def test_high_job_starts_within_one_turn_of_the_slots(plain_prefect: PlainPrefect) -> None:
    slots = 2
    pool, deployment, folder = _three_queues(plain_prefect)
    plain_prefect.bulk(deployment, [_job(folder, "low", seconds=0.3) for _ in range(BACKLOG)])
    with plain_prefect.working(pool, limit=slots, **WOKEN):
        wait_until((folder / "low").exists, PATIENCE, "the backlog to be worked on")

        (high,) = plain_prefect.bulk(deployment, [_job(folder, "high")])
        run = plain_prefect.end_of(high)

        created, started = moment(run["created"]), moment(run["start_time"])
        between = [
            one for one in _started(plain_prefect, deployment, "low") if created < moment(one["start_time"]) < started
        ]
        # Those that were claimed already, and one more turn.
        assert len(between) <= 2 * slots
        left = plain_prefect.count(deployment, "SCHEDULED")
        assert left > 0, "the backlog was gone, so nothing was shown"
        plain_prefect.api.delete(f"/deployments/{deployment}").raise_for_status()


def test_low_jobs_progress_under_a_flood_of_high_ones(plain_prefect: PlainPrefect) -> None:
    pool, deployment, folder = _three_queues(plain_prefect)
    plain_prefect.bulk(deployment, [_job(folder, "low") for _ in range(10)])
    plain_prefect.bulk(deployment, [_job(folder, "high") for _ in range(50)])
    with plain_prefect.working(pool, limit=1, **WOKEN):
        wait_until(lambda: plain_prefect.count(deployment, "COMPLETED") >= 30, 3 * PATIENCE, "30 jobs to end")
        order = sorted(_started(plain_prefect, deployment), key=lambda run: moment(run["start_time"]))[:30]
        plain_prefect.api.delete(f"/deployments/{deployment}").raise_for_status()

    low = [number for number, run in enumerate(order, start=1) if run["work_queue_name"] == "low"]
    assert low == [10, 20, 30]


@pytest.mark.slow
def test_two_workers_never_run_one_job_twice(plain_prefect: PlainPrefect) -> None:
    pool, folder = plain_prefect.pool(), plain_prefect.folder("shared")
    deployment = plain_prefect.deploy("quick", pool)

    def takers() -> set[str | None]:
        return {run["labels"].get("prefect.worker.name") for run in plain_prefect.all_of(deployment)} - {None}

    with plain_prefect.working(pool, limit=3) as one, plain_prefect.working(pool, limit=3) as other:
        parameters = [{"folder": str(folder), "name": f"job-{number}", "seconds": 600} for number in range(60)]
        runs = plain_prefect.bulk(deployment, [{"parameters": given} for given in parameters])
        # Each job holds its slot until then, so neither worker can take all.
        wait_until(lambda: takers() == {one.name, other.name}, PATIENCE, "both workers to take jobs")
        (folder / "enough").touch()
        wait_until(lambda: plain_prefect.count(deployment, "COMPLETED") == 60, 3 * PATIENCE, "all jobs to end")

    for number in range(60):
        assert len((folder / f"job-{number}").read_text().splitlines()) == 1
    for run_id in runs[:10]:
        assert [state["name"] for state in plain_prefect.states(run_id)] == [
            "Scheduled",
            "Pending",
            "Running",
            "Completed",
        ]


def test_run_that_was_done_meanwhile_is_not_claimed(plain_prefect: PlainPrefect) -> None:
    deployment = plain_prefect.deploy("quick", plain_prefect.pool())
    done = plain_prefect.begin(deployment, folder=".")
    waits = plain_prefect.begin(deployment, folder=".")
    completed = {"state": {"type": "COMPLETED"}, "force": True}
    plain_prefect.api.post(f"/flow_runs/{done}/set_state", json=completed).raise_for_status()

    async def claim(run_id: str) -> Json | None:
        async with PrefectClient(str(plain_prefect.api.base_url).rstrip("/")) as client:
            return await RunApi(WorkerClient(client)).claim(run_id)

    first, again, late = (asyncio.run(claim(run_id)) for run_id in (waits, waits, done))

    assert first is not None
    assert first["status"] == "ACCEPT"
    assert (again, late) == (None, None)
    assert plain_prefect.run(done)["state_type"] == "COMPLETED"


def test_worker_serves_the_queues_it_was_given_only(plain_prefect: PlainPrefect) -> None:
    pool, deployment, folder = _three_queues(plain_prefect)
    low, high = plain_prefect.bulk(deployment, [_job(folder, "low"), _job(folder, "high")])
    with plain_prefect.working(pool, limit=1, queues=("high",), **WOKEN):
        plain_prefect.end_of(high)
        plain_prefect.end_of(plain_prefect.bulk(deployment, [_job(folder, "high")])[0])

        assert plain_prefect.run(low)["state_type"] == "SCHEDULED"
    plain_prefect.api.delete(f"/deployments/{deployment}").raise_for_status()


def test_scheduled_jobs_start_on_time(plain_prefect: PlainPrefect, scheduled: str) -> None:
    def ended() -> list[Json]:
        """Of those that were planned early enough for the worker to have seen them: nobody tells it of planned runs."""
        planned = timedelta(seconds=POLLED_EVERY + 5)
        return [
            run
            for run in plain_prefect.all_of(scheduled)
            if run["state_type"] == "COMPLETED" and _due(run) - moment(run["created"]) > planned
        ]

    wait_until(lambda: len(ended()) >= 4, 3 * PATIENCE, "four scheduled runs to end")

    for run in ended():
        assert run["auto_scheduled"]
        assert 0 <= _waited(run) < AT_ONCE


def _three_queues(prefect: PlainPrefect) -> tuple[str, str, Path]:
    """A pool with `high` before `low`, a deployment, and a folder for its jobs."""
    pool = prefect.pool()
    prefect.queue(pool, "high", 1)
    prefect.queue(pool, "low", 3)
    return pool, prefect.deploy("quick", pool, queue="low"), prefect.folder("queues")


def _job(folder: Path, queue: str, *, name: str | None = None, seconds: float = 0) -> Json:
    return {
        "parameters": {"folder": str(folder), "name": name or queue, "seconds": seconds},
        "work_queue_name": queue,
    }


def _started(prefect: PlainPrefect, deployment: str, *queues: str) -> list[Json]:
    """Runs of a deployment that have started, the latest 200."""
    wanted = {"deployments": {"id": {"any_": [deployment]}}, "sort": "START_TIME_DESC"}
    found = prefect.runs(**wanted, flow_runs={"start_time": {"is_null_": False}})
    return [run for run in found if not queues or run["work_queue_name"] in queues]


def _waited(run: Json) -> float:
    """Seconds from due to started."""
    return (moment(run["start_time"]) - _due(run)).total_seconds()


def _due(run: Json) -> datetime:
    return max(moment(run["expected_start_time"]), moment(run["created"]))
