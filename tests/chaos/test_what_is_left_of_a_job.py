"""What a job leaves when its process dies: tries that were spent in it count, an end that nobody heard is reported for
it, and helpers that it started do not hold it for ever.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import psutil
import pytest

from redrive.blocks.process.end_notes import EndNotes
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs.actions import cancel_job
from tests.chaos.fault_stack import PATIENCE, FaultStack, kill
from tests.chaos.journal import read_journal
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(1200), pytest.mark.slow]


def test_tries_spent_before_the_process_died_count(stack: FaultStack) -> None:
    folder = stack.folder("tries")

    job = enqueue("fault-tries", {"folder": str(folder)})

    row = stack.dead_letter(job.id, timeout=PATIENCE)
    assert row.reason == "tries"
    # Every second one was no failed try but a death.
    assert [line.what for line in read_journal(folder)] == ["try"] * 5


def test_tries_spent_before_the_process_died_with_its_worker_count(stack: FaultStack) -> None:
    folder = stack.folder("spent")
    job = enqueue("fault-spent", {"folder": str(folder)})
    wait_until(lambda: len(read_journal(folder)) == 2, PATIENCE, "its second try")

    stack.kill_worker_tree()
    (folder / "go").touch()

    row = stack.dead_letter(job.id, timeout=PATIENCE)
    assert (row.reason, row.tries) == ("tries", 3)
    # One that failed, one that was cut off, and the two that were left of three.
    assert [line.what for line in read_journal(folder)] == ["try"] * 4


@pytest.mark.parametrize("with_its_worker", [False, True])
def test_tries_spent_while_the_api_was_unavailable_count_when_the_process_died_then(
    stack: FaultStack, *, with_its_worker: bool
) -> None:
    folder = stack.folder("spent-unheard")
    (folder / "hold").touch()
    job = enqueue("fault-spent", {"folder": str(folder)})
    wait_until(lambda: read_journal(folder), PATIENCE, "its first try")

    with stack.without("prefect"):
        # Only its worker hears of the try that fails, and a note says so.
        (folder / "hold").unlink()
        wait_until(lambda: len(read_journal(folder)) == 2, PATIENCE, "its second try")
        if with_its_worker:
            stack.kill_worker_tree()
        else:
            kill(*stack.job_processes()[job.id])
        (folder / "go").touch()

    row = stack.dead_letter(job.id, timeout=PATIENCE)
    assert (row.reason, row.tries) == ("tries", 3)
    assert [line.what for line in read_journal(folder)] == ["try"] * 4


def test_helper_of_a_job_whose_worker_was_killed_is_ended_after_the_lease(stack: FaultStack) -> None:
    folder, job, helper = left_with_its_helper(stack)

    wait_for(job, timeout=PATIENCE)

    assert api().read_flow_run(job).state_name == "Completed"
    assert [line.what for line in read_journal(folder)] == ["first", "second"]
    wait_until(lambda: has_ended(helper), PATIENCE, "the helper's end")


def test_helper_of_a_job_that_is_cancelled_then_does_not_hold_its_cancellation(stack: FaultStack) -> None:
    folder, job, helper = left_with_its_helper(stack)

    cancel_job(job)

    assert wait_for(job, timeout=PATIENCE).state_name == "Cancelled"
    assert [line.what for line in read_journal(folder)] == ["first"]
    wait_until(lambda: has_ended(helper), PATIENCE, "the helper's end")


@pytest.mark.parametrize("with_its_worker", [True, False])
def test_job_that_had_ended_before_it_was_killed_does_not_run_again(
    stack: FaultStack, *, with_its_worker: bool
) -> None:
    folder = stack.folder("ended")
    job = enqueue("fault-cut-off", {"folder": str(folder), "first": "success", "second": "success"})
    wait_until(lambda: read_journal(folder), PATIENCE, "the job to run")
    notes = EndNotes.of(stack.home)

    with stack.without("prefect"):
        (folder / "go").touch()
        wait_until(lambda: str(job.id) in notes.run_ids(), PATIENCE, "its process to say how it ended")
        if with_its_worker:
            stack.kill_worker_tree()
        else:
            kill(*stack.job_processes()[job.id])

    assert wait_for(job.id, timeout=PATIENCE).state_name == "Completed"
    assert [line.what for line in read_journal(folder)] == ["first", "goes-on"]
    assert api().read_flow_run(job.id).run_count == 1
    wait_until(lambda: not notes.run_ids(), PATIENCE, "the note to go")


@pytest.mark.parametrize("killed", ["before its result is stored", "before the engine knows of it"])
def test_job_that_returned_before_it_was_killed_does_not_run_again(stack: FaultStack, killed: str) -> None:
    folder = stack.folder("returned")

    job = enqueue("fault-returned", {"folder": str(folder), "killed": killed})

    run = wait_for(job.id, timeout=PATIENCE)
    assert run.state_name == "Completed", run.state
    assert [line.what for line in read_journal(folder)] == ["begin"]
    assert job.result(timeout=PATIENCE) == ["done"]


def left_with_its_helper(stack: FaultStack) -> tuple[Path, UUID, psutil.Process]:
    """The folder of a job, its id, and a process that it started: its own and its worker's were killed."""
    folder = stack.folder("helper")
    job = enqueue("fault-helper", {"folder": str(folder)})
    wait_until(lambda: read_journal(folder), PATIENCE, "the job to run")
    helper = psutil.Process(int((folder / "helper").read_text()))
    (line,) = read_journal(folder)
    kill(psutil.Process(stack.pid("worker")), psutil.Process(line.pid))
    assert not has_ended(helper)
    return folder, job.id, helper


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
