"""Limits are hard and say so, and a process that dies is seen at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.plain_prefect import PATIENCE, PlainPrefect, PlainWorker, lives, zombies
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

#: Seconds of the issue's bound, and what a busy machine may add.
CANCEL, SLACK = 3.0, 4.0


@dataclass(frozen=True)
class Bench:
    """A worker with limits set by deployment."""

    prefect: PlainPrefect
    worker: PlainWorker
    pool: str

    def begin(self, flow: str, variables: dict[str, Any] | None = None, **parameters: Any) -> tuple[str, Path]:
        folder = self.prefect.folder(flow)
        deployment = self.prefect.deploy(flow, self.pool, job_variables=variables or {})
        return self.prefect.begin(deployment, folder=str(folder), **parameters), folder

    def pid(self, folder: Path, name: str) -> int:
        """Of the job, once it runs."""
        wait_until((folder / name).exists, PATIENCE, f"the job to leave {name}")
        return int(json.loads((folder / name).read_text().splitlines()[0])["pid"])


@pytest.fixture(scope="module")
def bench(plain_prefect: PlainPrefect) -> Iterator[Bench]:
    pool = plain_prefect.pool()
    # Before the worker starts, so that it loads the jobs' modules once, not again under the first test.
    plain_prefect.deploy("quick", pool)
    worker = plain_prefect.worker(pool, limit=2)
    try:
        yield Bench(plain_prefect, worker, pool)
        assert worker.alive
        wait_until(lambda: not zombies(worker.below()), PATIENCE, "what ended to be reaped")
    finally:
        worker.end()


@pytest.mark.parametrize("how", ["sleep", "lock"])
def test_hard_timeout_kills_code_that_ignores_signals(bench: Bench, how: str) -> None:
    run_id, folder = bench.begin("stuck", {"timeout": 4}, how=how)

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert "ran over its hard timeout of 4 s, so its process was killed" in run["state"]["message"]
    assert not _lives(bench.pid(folder, "stuck"))


def test_jobs_give_way_to_the_worker_that_guards_them(bench: Bench) -> None:
    run_id, folder = bench.begin("stuck", {"timeout": 60}, how="sleep")
    job = bench.pid(folder, "stuck")

    assert os.getpriority(os.PRIO_PROCESS, job) == max(5, os.getpriority(os.PRIO_PROCESS, bench.worker.pid))
    groups = Path(f"/proc/{job}/autogroup")
    assert not groups.exists() or groups.read_text().split()[-2:] == ["nice", "5"]

    bench.prefect.cancel(run_id)
    bench.prefect.end_of(run_id)


def test_hard_timeout_takes_what_the_job_started_along(bench: Bench) -> None:
    run_id, folder = bench.begin("stuck", {"timeout": 5}, how="children")

    bench.prefect.end_of(run_id)

    left = [json.loads(line)["value"] for line in (folder / "left").read_text().splitlines()]
    assert len(left) == 2
    wait_until(lambda: not [pid for pid in left if _lives(pid)], 20, "the job's own processes to end")


def test_job_above_its_memory_limit_is_killed_and_the_machine_is_fine(bench: Bench) -> None:
    run_id, folder = bench.begin("greedy", {"memory_limit": 200})
    most = 0

    def ended() -> bool:
        nonlocal most
        if (folder / "greedy").exists():
            most = max(most, _memory(bench.pid(folder, "greedy")))
        return bench.prefect.run(run_id)["state_type"] == "CRASHED"

    wait_until(ended, PATIENCE, "the job to be killed")

    message = bench.prefect.run(run_id)["state"]["message"]
    assert "MB of memory, 200 are allowed, so its process was killed" in message
    assert most < 1000 * 1024 * 1024
    quick, _ = bench.begin("quick")
    assert bench.prefect.end_of(quick)["state_name"] == "Completed"


def test_job_that_the_kernel_kills_for_memory_is_distinguished(bench: Bench, memory_group: Path) -> None:
    run_id, folder = bench.begin("cornered", group=str(memory_group))

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    # The job moved itself out of the worker's group, so nothing counts kills of ours alone.
    assert (
        "killed by SIGKILL, while the kernel killed a process of this machine for want of memory"
        in run["state"]["message"]
    )
    assert not (folder / "lived").exists()
    quick, _ = bench.begin("quick")
    assert bench.prefect.end_of(quick)["state_name"] == "Completed"


@pytest.mark.parametrize("how", ["sleep", "lock"])
def test_cancelled_job_is_stopped_in_time(bench: Bench, how: str) -> None:
    run_id, folder = bench.begin("stuck", how=how)
    pid = bench.pid(folder, "stuck")
    bench.prefect.in_state(run_id, "Running")

    ordered = time.monotonic()
    bench.prefect.cancel(run_id)
    wait_until(lambda: not _lives(pid), PATIENCE, "the job's process to end")
    took = time.monotonic() - ordered

    assert took <= CANCEL + SLACK
    assert bench.prefect.end_of(run_id)["state_name"] == "Cancelled"


def test_cancelled_job_that_can_leave_does_so_by_itself(bench: Bench) -> None:
    run_id, folder = bench.begin("hooked", do="wait")
    bench.pid(folder, "waiting")
    bench.prefect.in_state(run_id, "Running")

    ordered = time.monotonic()
    bench.prefect.cancel(run_id)
    run = bench.prefect.end_of(run_id)

    assert time.monotonic() - ordered <= CANCEL + SLACK
    assert run["state_name"] == "Cancelled"


def test_suspended_job_leaves_its_slot_and_goes_on_when_it_is_resumed(bench: Bench) -> None:
    run_id, folder = bench.begin("patient")
    pid = bench.pid(folder, "patient")
    bench.prefect.in_state(run_id, "Running")

    bench.prefect.suspend(run_id)
    others = [bench.begin("quick", seconds=2) for _ in range(2)]
    # Both slots are free again, or the second would not end.
    for other, _ in others:
        assert bench.prefect.end_of(other)["state_name"] == "Completed"
    assert bench.prefect.run(run_id)["state_name"] == "Suspended"
    assert lives(psutil.Process(pid)), "a job that leaves by itself costs no process"

    (folder / "enough").touch()
    bench.prefect.resume(run_id)

    assert bench.prefect.end_of(run_id)["state_name"] == "Completed"
    assert len((folder / "patient").read_text().splitlines()) == 2


def test_killed_child_is_seen_at_once_and_named(bench: Bench) -> None:
    run_id, folder = bench.begin("quick", seconds=600)
    pid = bench.pid(folder, "quick")
    bench.prefect.in_state(run_id, "Running")

    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    run = bench.prefect.end_of(run_id)

    assert time.monotonic() - killed <= 10
    assert run["state_name"] == "Crashed"
    assert bench.worker.name in run["state"]["message"]
    assert "its process was killed by SIGKILL" in run["state"]["message"]


def test_exit_code_is_reported(bench: Bench) -> None:
    run_id, _ = bench.begin("hooked", do="exit")

    run = bench.prefect.end_of(run_id)

    assert run["state_name"] == "Crashed"
    assert "its process exited with status code: 3" in run["state"]["message"]


def test_run_cancelled_before_it_started_never_starts(bench: Bench) -> None:
    first = [bench.begin("quick", seconds=600) for _ in range(2)]
    for _, folder in first:
        bench.pid(folder, "quick")
    waiting, folder = bench.begin("quick")

    bench.prefect.cancel(waiting)
    for run_id, _ in first:
        bench.prefect.cancel(run_id)

    for run_id, _ in first:
        assert bench.prefect.end_of(run_id)["state_name"] == "Cancelled"
    assert bench.prefect.end_of(waiting)["state_name"] == "Cancelled"
    assert not (folder / "quick").exists()


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and lives(psutil.Process(pid))


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
