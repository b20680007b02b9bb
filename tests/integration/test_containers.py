"""Jobs in containers of their own, in a real engine: the same ends as in the warm pool, said in words of containers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import TestEngine
from tests.support.plain_prefect import PATIENCE, PlainPrefect, PlainWorker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Bench:
    """A worker whose jobs may have containers."""

    engine: TestEngine
    prefect: PlainPrefect
    worker: PlainWorker
    pool: str

    def begin(self, flow: str, variables: dict[str, Any] | None = None, **parameters: Any) -> tuple[str, Path]:
        folder = self.prefect.folder(flow)
        container = self.engine.here(folder, self.prefect.project, env={"PYTHONPATH": str(self.prefect.project)})
        variables = {"isolation": "container", "container": container, **(variables or {})}
        deployment = self.prefect.deploy(flow, self.pool, job_variables=variables)
        return self.prefect.begin(deployment, folder=str(folder), **parameters), folder

    def began(self, folder: Path, name: str) -> None:
        wait_until((folder / name).exists, PATIENCE, f"the job to leave {name}")

    def containers(self, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.engine.api.containers(all=True, filters={"label": f"redrive.run={run_id}"})
        return found


@pytest.fixture(scope="module")
def bench(plain_prefect: PlainPrefect) -> Iterator[Bench]:
    with TestEngine() as engine:
        pool = plain_prefect.pool()
        worker = plain_prefect.worker(pool, limit=2, DOCKER_HOST=engine.url)
        try:
            yield Bench(engine, plain_prefect, worker, pool)
            assert worker.alive
            assert "Traceback" not in worker.log
        finally:
            worker.end()


def test_job_in_a_container_completes_and_leaves_none_behind(bench: Bench) -> None:
    run_id, folder = bench.begin("quick")

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Completed"
    assert run["labels"]["prefect.worker.name"] == bench.worker.name
    assert json.loads((folder / "quick").read_text().splitlines()[0])["pid"] < 100, (
        "a process of a container counts from 1"
    )
    assert [state["name"] for state in bench.prefect.states(run_id)] == ["Scheduled", "Pending", "Running", "Completed"]

    def logged() -> bool:
        return any("runs this in process" in line["message"] for line in bench.prefect.logs(run_id))

    wait_until(logged, PATIENCE, "its log, which is sent in batches")
    wait_until(lambda: not bench.containers(run_id), PATIENCE, "the container to be taken away")


@pytest.mark.soak
def test_password_is_not_in_the_settings_of_the_container(bench: Bench) -> None:
    run_id, folder = bench.begin("quick", seconds=600)
    bench.began(folder, "quick")
    (container,) = bench.containers(run_id)

    seen = json.dumps(bench.engine.api.inspect_container(container["Id"]))
    bench.prefect.cancel(run_id)

    assert "PREFECT_API" not in seen
    assert '"CapDrop": ["ALL"]' in seen
    assert '"ReadonlyRootfs": true' in seen
    assert '"SecurityOpt": ["no-new-privileges"]' in seen
    assert bench.prefect.end_of(run_id)["state_name"] == "Cancelled"


@pytest.mark.soak
@pytest.mark.parametrize("how", ["sleep", "lock"])
def test_hard_timeout_kills_code_that_ignores_signals(bench: Bench, how: str) -> None:
    run_id, _ = bench.begin("stuck", {"timeout": 4}, how=how)

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert "ran over its hard timeout of 4 s, so its process was killed" in run["state"]["message"]
    wait_until(lambda: not bench.containers(run_id), PATIENCE, "the container to be taken away")


@pytest.mark.soak
def test_job_above_its_memory_limit_is_killed(bench: Bench) -> None:
    run_id, _ = bench.begin("greedy", {"memory_limit": 300})

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert "it needed more than the 300 MB of memory that are allowed" in run["state"]["message"]


@pytest.mark.soak
@pytest.mark.parametrize("how", ["sleep", "lock"])
def test_cancelled_job_is_stopped(bench: Bench, how: str) -> None:
    run_id, folder = bench.begin("stuck", how=how)
    bench.began(folder, "stuck")
    bench.prefect.in_state(run_id, "Running")

    bench.prefect.cancel(run_id)

    assert bench.prefect.end_of(run_id)["state_name"] == "Cancelled"
    wait_until(lambda: not bench.containers(run_id), PATIENCE, "the container to be taken away")


@pytest.mark.soak
def test_killed_container_is_seen_and_named(bench: Bench) -> None:
    run_id, folder = bench.begin("quick", seconds=600)
    bench.began(folder, "quick")
    bench.prefect.in_state(run_id, "Running")
    (container,) = bench.containers(run_id)

    bench.engine.api.kill(container["Id"])
    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert bench.worker.name in run["state"]["message"]
    assert "its container was killed by signal 9" in run["state"]["message"]


@pytest.mark.soak
def test_exit_code_is_reported(bench: Bench) -> None:
    run_id, _ = bench.begin("hooked", do="exit")

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert "exited with status code: 3" in run["state"]["message"]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("container", "said"),
    [
        ({"image": "redrive-test/none:1", "network": "host"}, "image redrive-test/none:1 is not on this engine"),
        ({"image": "redrive-test/here:latest", "network": "host", "mounts": ["/not/there:/x"]}, "/not/there"),
        ({"image": "redrive-test/here:latest", "network": "none"}, "cuts a job off from Prefect's API"),
        ({"image": "redrive-test/here:latest", "network": "host"}, "python3"),
    ],
)
def test_container_that_cannot_be_says_why(bench: Bench, container: dict[str, Any], said: str) -> None:
    run_id, _ = bench.begin("quick", {"container": container})

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert said in run["state"]["message"]


@pytest.mark.soak
def test_engine_that_is_restarted_ends_its_jobs_which_is_reported_and_later_jobs_run(bench: Bench) -> None:
    run_id, folder = bench.begin("quick", seconds=600)
    bench.began(folder, "quick")
    bench.prefect.in_state(run_id, "Running")

    bench.engine.stop(signal.SIGKILL)
    waiting, _ = bench.begin("quick")
    wait_until(
        lambda: "waits for a worker with a container engine" in bench.worker.log, PATIENCE, "the worker to say so"
    )
    assert bench.prefect.run(waiting)["state_type"] == "SCHEDULED"
    bench.engine.start()

    assert bench.prefect.end_of(run_id)["state_name"] == "Crashed"
    assert bench.prefect.end_of(waiting)["state_name"] == "Completed"


@pytest.mark.soak
def test_worker_that_is_killed_leaves_a_job_that_finishes_without_it(bench: Bench) -> None:
    with bench.prefect.working(
        bench.pool, limit=1, DOCKER_HOST=bench.engine.url, REDRIVE_HOME=str(bench.prefect.home / "r")
    ) as other:
        bench.worker.signal(signal.SIGSTOP)
        try:
            run_id, folder = bench.begin("quick", seconds=5)
            bench.began(folder, "quick")
            noted = json.loads((bench.prefect.home / "r" / "run" / "jobs" / run_id).read_text())
            os.kill(other.pid, signal.SIGKILL)
            run = bench.prefect.end_of(run_id)
        finally:
            bench.worker.signal(signal.SIGCONT)

    assert noted, "the keeper can see that it lives"
    assert run["state_name"] == "Completed"
