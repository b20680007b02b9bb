"""A host that is cut off comes back when others have done its jobs: what the second attempts said stands, to the last label."""

from __future__ import annotations

from itertools import product
from typing import Any
from uuid import UUID

import psutil
import pytest

from redrive.deployments.enqueue import enqueue
from tests.chaos.fault_stack import PATIENCE, FaultStack
from tests.chaos.journal import read_journal
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(1200), pytest.mark.slow]

OUTCOMES = {"success": "Completed", "failure": "DeadLetter", "wait": "AwaitingRetry"}
#: How the first attempt would have ended, and how the second does.
PAIRS = list(product(OUTCOMES, OUTCOMES))


def test_attempt_of_a_host_that_was_cut_off_says_nothing_over_the_second(stack: FaultStack) -> None:
    folder = stack.folder("cut-off")
    host = stack.start_worker_elsewhere("cut-off", slots=len(PAIRS))
    # The other host has the first attempts to itself.
    stack.stop_component("worker")
    jobs = {
        enqueue("fault-cut-off", {"folder": str(folder), "first": first, "second": second}).id: second
        for first, second in PAIRS
    }

    def journal(what: str) -> set[UUID]:
        return {line.run_id for line in read_journal(folder) if line.what == what}

    wait_until(lambda: journal("first") == jobs.keys(), PATIENCE, "every job to run on the other host")
    worker = psutil.Process(host.pid)
    busy = [one for one in worker.children(recursive=True) if one.name().startswith("job ")]
    with stack.frozen(worker, *worker.children(recursive=True)):
        stack.start_component("worker")
        wait_until(
            lambda: {run_id: state(run_id) for run_id in jobs} == {one: OUTCOMES[end] for one, end in jobs.items()},
            PATIENCE * 2,
            "the second attempts to end as they were told",
        )
        before = {run_id: record(run_id) for run_id in jobs}
        (folder / "go").touch()
    wait_until(lambda: journal("goes-on") == jobs.keys(), PATIENCE, "the first attempts to go on")
    wait_until(lambda: not [one for one in busy if is_busy(one)], PATIENCE, "the first attempts to be through")

    assert {run_id: record(run_id) for run_id in jobs} == before


def state(run_id: UUID) -> str:
    return str(api().read_flow_run(run_id).state_name)


def record(run_id: UUID) -> dict[str, Any]:
    """All that an attempt could have changed."""
    run = api().read_flow_run(run_id)
    states = sorted(api().read_flow_run_states(run_id), key=lambda one: one.timestamp)
    return {"states": [(one.name, str(one.id)) for one in states], "labels": run.labels, "pid": run.infrastructure_pid}


def is_busy(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.name().startswith("job ")
    except psutil.NoSuchProcess:
        return False
