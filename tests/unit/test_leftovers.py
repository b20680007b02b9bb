"""Processes of a job that is gone: left over after the lease, and never those of one that lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from redrive.blocks.prefect.run import Run
from redrive.deployments.pools import Workers
from redrive.infra.keeper.lost import Lost
from redrive.infra.keeper.processes import JobProcesses
from tests.support.lost_jobs import EVERY, LEASE, WORKER, a_run, note


def test_helpers_of_a_job_whose_process_and_worker_are_gone_are_left_over_after_the_lease(
    lost: Lost, tmp_path: Path
) -> None:
    note(tmp_path, alive=False)
    run = a_run()
    helpers = JobProcesses({run.id: [1]}, without_leader=frozenset({run.id}))

    _sample(lost, run, helpers, LEASE - EVERY)
    assert not lost.left_over(run, helpers)

    _sample(lost, run, helpers, 2 * LEASE)
    assert lost.left_over(run, helpers)


@pytest.mark.parametrize("signed", [True, False])
def test_helpers_of_a_job_that_is_to_be_cancelled_hold_it_no_longer_than_the_lease(
    lost: Lost, tmp_path: Path, *, signed: bool
) -> None:
    note(tmp_path, alive=False)
    run = a_run(state_type="CANCELLING", **({} if signed else {"labels": {}}))
    helpers = JobProcesses({run.id: [1]}, without_leader=frozenset({run.id}))

    _sample(lost, run, helpers, LEASE - EVERY)
    # Nobody is left to tell the job of a dead worker; what nobody signed may be another worker's in the next moment.
    assert lost.left_over(run, helpers) is signed
    assert lost.cause(run, helpers) is None

    _sample(lost, run, helpers, 2 * LEASE)
    assert lost.left_over(run, helpers)
    # Once they were ended, its cancellation is finished.
    assert lost.cause(run, JobProcesses({})) is not None


def test_processes_of_a_job_that_lives_are_never_left_over(lost: Lost, tmp_path: Path) -> None:
    note(tmp_path, alive=False)
    run = a_run()
    processes = JobProcesses({run.id: [1, 2]}, leaders=frozenset({1}))

    _sample(lost, run, processes, 10 * LEASE)

    assert not lost.left_over(run, processes)


def _sample(lost: Lost, run: Run, processes: JobProcesses, seconds: float) -> None:
    now = 0.0
    while now <= seconds:
        lost.sample([run], processes, Workers({WORKER: "10:00"}, {"jobs": "warm"}), now=now)
        now += EVERY
