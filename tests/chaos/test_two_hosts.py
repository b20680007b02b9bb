"""Two workers with different PREFECT_HOMEs, as two hosts would have; one is lost for good."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.chaos.fault_stack import PATIENCE, FaultStack
from tests.chaos.trial import Trial
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.slow]

SLOTS = 3


@pytest.mark.parametrize("size", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_jobs_of_a_lost_host_are_rescued_after_the_lease(stack: FaultStack, size: int) -> None:
    name = f"elsewhere-{size}"
    host = stack.start_worker_elsewhere(name, slots=SLOTS)
    # Two fast workers would be through before anybody could look: the other host has the first jobs to itself.
    stack.stop_component("worker")
    trial = Trial(stack, size, seed=4)
    wait_until(
        lambda: len(held_by(trial, name, {"RUNNING"})) >= SLOTS - 1, PATIENCE * 2, "the other host to be at work"
    )

    stack.lose(host)
    stack.start_component("worker")

    lost = held_by(trial, name, {"RUNNING", "PENDING"})
    figures = trial.check()
    print("lost with the host:", len(lost), figures)
    rescued = {run_id for run_id in lost if any(said_silent(message, name) for message in crashes(run_id))}
    unfinished = lost - rescued
    # A job that was through with its work and only had to leave needed no rescue.
    assert all(not crashes(run_id) for run_id in unfinished)
    assert rescued


def held_by(trial: Trial, worker: str, types: set[str]) -> set[UUID]:
    return {run.id for run in trial.runs().values() if run.worker == worker and run.state_type in types}


def crashes(run_id: UUID) -> list[str]:
    return [
        state.message or ""
        for state in api().read_flow_run_states(run_id)
        if state.type is not None and state.type.value == "CRASHED"
    ]


def said_silent(message: str, worker: str) -> bool:
    return message.startswith(f"rescued: worker {worker} is silent for ")
