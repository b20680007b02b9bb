"""What a job leaves when its process dies: tries that were spent in it count, and helpers that it started do not hold it for ever."""

from __future__ import annotations

import psutil
import pytest

from redrive.deployments.enqueue import enqueue, wait_for
from tests.chaos.fault_stack import PATIENCE, FaultStack, kill
from tests.chaos.journal import read_journal
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(1200)]


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


def test_helper_of_a_job_whose_worker_was_killed_is_ended_after_the_lease(stack: FaultStack) -> None:
    folder = stack.folder("helper")
    job = enqueue("fault-helper", {"folder": str(folder)})
    wait_until(lambda: read_journal(folder), PATIENCE, "the job to run")
    helper = psutil.Process(int((folder / "helper").read_text()))
    (line,) = read_journal(folder)
    worker = psutil.Process(stack.pid("worker"))

    kill(worker, psutil.Process(line.pid))
    assert helper.is_running()

    wait_for(job.id, timeout=PATIENCE)
    assert api().read_flow_run(job.id).state_name == "Completed"
    assert [line.what for line in read_journal(folder)] == ["first", "second"]
    wait_until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, PATIENCE, "its end")
