"""Stopping a worker harms no job, and new code is picked up without a stop."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.plain_prefect import PATIENCE, PlainPrefect, PlainWorker, lives
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)


def test_told_to_stop_it_lets_jobs_finish_and_takes_no_new_ones(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool(drain_timeout=300)
    deployment = plain_prefect.deploy("quick", pool)
    folder = plain_prefect.folder("drain")
    with _worker(plain_prefect, pool, limit=1) as (worker, family):
        running = plain_prefect.begin(deployment, folder=str(folder), name="first", seconds=600)
        wait_until((folder / "first").exists, PATIENCE, "the job to run")

        worker.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in worker.log, PATIENCE, "the worker to drain")
        later = plain_prefect.begin(deployment, folder=str(folder), name="second")
        (folder / "enough").touch()

        assert worker.wait() == 0
        assert plain_prefect.end_of(running)["state_name"] == "Completed"
        assert plain_prefect.run(later)["state_type"] == "SCHEDULED"
        _assert_all_ended(family)

    with plain_prefect.working(pool, limit=1):
        assert plain_prefect.end_of(later)["state_name"] == "Completed"


@pytest.mark.parametrize("by", ["environment", "pool"])
@pytest.mark.slow
def test_job_that_does_not_finish_in_time_starts_again_elsewhere(plain_prefect: PlainPrefect, by: str) -> None:
    pool = plain_prefect.pool(drain_timeout=2 if by == "pool" else 300)
    env = {"REDRIVE_DRAIN_TIMEOUT": "2"} if by == "environment" else {}
    folder = plain_prefect.folder("again")
    runs = [
        plain_prefect.begin(plain_prefect.deploy("quick", pool), folder=str(folder), seconds=600),
        plain_prefect.begin(plain_prefect.deploy("aquick", pool), folder=str(folder), seconds=600),
    ]
    with _worker(plain_prefect, pool, limit=3, **env) as (worker, family):
        deaf = plain_prefect.begin(plain_prefect.deploy("stuck", pool), folder=str(folder), seconds=600)
        runs.append(deaf)
        for name in ("quick", "aquick", "stuck"):
            wait_until((folder / name).exists, PATIENCE, f"{name} to run")
        for run_id in runs:
            plain_prefect.in_state(run_id, "Running")

        worker.signal(signal.SIGTERM)

        assert worker.wait() == 0
        for run_id in runs:
            run = plain_prefect.run(run_id)
            assert run["state_name"] == "AwaitingRetry", run["state"]
            assert run["infrastructure_pid"] is None
            assert not {"Crashed", "Failed"} & {state["name"] for state in plain_prefect.states(run_id)}
        _assert_all_ended(family)

    (folder / "enough").touch()
    with plain_prefect.working(pool, limit=3):
        for run_id in runs:
            assert plain_prefect.end_of(run_id)["state_name"] == "Completed"
    assert plain_prefect.run(runs[0])["run_count"] == 2


def test_told_twice_it_stops_at_once(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool(drain_timeout=300)
    deployment = plain_prefect.deploy("quick", pool)
    folder = plain_prefect.folder("twice")
    with _worker(plain_prefect, pool, limit=1) as (worker, family):
        running = plain_prefect.begin(deployment, folder=str(folder), seconds=600)
        wait_until((folder / "quick").exists, PATIENCE, "the job to run")
        plain_prefect.in_state(running, "Running")

        worker.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in worker.log, PATIENCE, "the worker to drain")
        worker.signal(signal.SIGTERM)

        told = time.monotonic()
        assert worker.wait() == 0
        assert time.monotonic() - told < 30
        assert plain_prefect.run(running)["state_name"] == "AwaitingRetry"
        _assert_all_ended(family)
    plain_prefect.cancel(running)


def test_idle_worker_stops_at_once(plain_prefect: PlainPrefect) -> None:
    with _worker(plain_prefect, plain_prefect.pool(), limit=2) as (worker, family):
        worker.signal(signal.SIGINT)

        assert worker.wait(30) == 0
        _assert_all_ended(family)


def test_new_code_is_run_without_a_restart_and_a_running_job_finishes_on_the_old(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool)
    folder = plain_prefect.folder("deploy")
    with _worker(plain_prefect, pool, limit=2) as (worker, _):
        running = plain_prefect.begin(deployment, folder=str(folder), name="running", seconds=600)
        wait_until((folder / "running").exists, PATIENCE, "the job to run")
        plain_prefect.edit('VERSION = "old"', 'VERSION = "new"')
        try:
            wait_until(lambda: "the code of the jobs changed" in worker.log, PATIENCE, "the change to be seen")

            def version() -> str:
                plain_prefect.end_of(plain_prefect.begin(deployment, folder=str(folder), name="next"))
                return _values(folder, "next")[-1]

            wait_until(lambda: version() == "new", PATIENCE, "new jobs to run the new code")
            (folder / "enough").touch()
            plain_prefect.end_of(running)
            assert _values(folder, "running-done") == ["old"]
            assert version() == "new"
            assert worker.alive
        finally:
            plain_prefect.edit('VERSION = "new"', 'VERSION = "old"')


@contextmanager
def _worker(
    prefect: PlainPrefect, pool: str, *, limit: int, **env: str
) -> Iterator[tuple[PlainWorker, list[psutil.Process]]]:
    """A worker, and the processes below it as they were at first."""
    worker = prefect.worker(pool, limit=limit, **env)
    try:
        yield worker, worker.below()
    finally:
        worker.end()


def _assert_all_ended(family: list[psutil.Process]) -> None:
    wait_until(lambda: not [one for one in family if lives(one)], 20, "all processes of the worker to end")


def _values(folder: Path, name: str) -> list[str]:
    path = folder / name
    return [json.loads(line)["value"] for line in path.read_text().splitlines()] if path.exists() else []
