"""`kill -9` of what runs the jobs."""

from __future__ import annotations

import pytest

from tests.chaos.fault_stack import PATIENCE, FaultStack, kill
from tests.chaos.trial import Fault, Trial
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.slow]

#: Strikes of the faults that strike several times.
STRIKES = 4


def children(trial: Trial) -> None:
    """Jobs' processes at random: all of a job's, or only one of the two interpreters it consists of."""
    for strike in range(STRIKES):
        trial.wait_for_live()
        run_id = trial.draw.choice(trial.working() or list(trial.jobs))
        processes = trial.stack.job_processes().get(run_id, [])
        kill(*[processes, processes[:1], processes[-1:], processes][strike % STRIKES])


def worker_alone(trial: Trial) -> None:
    """Its children live on and must be let to their end."""
    trial.wait_for_live()
    worker = trial.stack.pid("worker")
    trial.stack.kill_worker(with_children=False)
    wait_until(lambda: trial.stack.pid("worker") not in {0, worker}, PATIENCE, "the next worker")


def worker_with_children(trial: Trial) -> None:
    trial.wait_for_live()
    trial.stack.kill_worker(with_children=True)


FAULTS: list[Fault] = [children, worker_alone, worker_with_children]


def test_killed_processes(stack: FaultStack) -> None:
    trial = Trial(stack, 20)

    for fault in FAULTS:
        fault(trial)

    print(trial.check())


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
def test_killed_processes_soak(stack: FaultStack, fault: Fault) -> None:
    trial = Trial(stack, 100)

    for share in (0.1, 0.4, 0.7):
        trial.wait_for_stage(share)
        fault(trial)

    print(fault.__name__, trial.check())


def test_a_job_that_outlives_its_worker_runs_once(stack: FaultStack) -> None:
    from redrive.deployments.enqueue import enqueue, wait_for
    from tests.chaos.journal import read_journal
    from tests.support.prefect_client import api

    folder = stack.folder("outlives")
    job = enqueue("fault-held", {"folder": str(folder)})
    wait_until(lambda: read_journal(folder), 120, "the job to run")
    worker = stack.pid("worker")

    stack.kill_worker(with_children=False)

    wait_until(lambda: stack.pid("worker") not in {0, worker}, 120, "the next worker")
    # Another job through the new worker: by then the keeper has looked at the first one many times.
    other = stack.folder("other")
    (other / "go").touch()
    wait_for(enqueue("fault-held", {"folder": str(other)}).id, timeout=120)
    (folder / "go").touch()
    end = wait_for(job.id, timeout=120)
    assert end.state is not None
    assert end.state.is_completed()
    assert [line.what for line in read_journal(folder)] == ["begin", "effect:held", "end"]
    assert "Crashed" not in {state.name for state in api().read_flow_run_states(job.id)}
