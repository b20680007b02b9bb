"""Commands that meet a job which does something else in the same moment: one of the two happens, and it is said which."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Scheduled

from redrive.blocks.core.errors import Conflict
from redrive.blocks.core.exit_codes import ExitCode, exit_code_of
from redrive.blocks.prefect.run import Run
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs import actions as job_actions
from redrive.deployments.jobs.details import cancel_job, retry_now, show_job
from tests.support.commands import Commands
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120.0


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[Run], object]) -> None:
    """Let something happen to a job after it was read and before it is changed."""
    find, done = job_actions.find_job, []

    def found(reference: str | UUID) -> Run:
        run = find(reference)
        if not done:
            done.append(happens(run))
        return run

    monkeypatch.setattr(job_actions, "find_job", found)


def test_a_claim_is_quicker_than_retry_now(job_stack: JobStack, monkeypatch: pytest.MonkeyPatch) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 300}, delay=3600)

    def is_claimed(run: Run) -> None:
        api().set_flow_run_state(run.id, Scheduled(scheduled_time=datetime.now(UTC)))
        wait_until(lambda: show_job(run.id)[0].status == "running", PATIENCE, "a worker to take it")

    meanwhile(monkeypatch, is_claimed)

    with pytest.raises(Conflict, match=r"worker .* was quicker, it is Running") as caught:
        retry_now(job.id, who="ada")

    assert exit_code_of(caught.value) == ExitCode.CONFLICT
    assert [state.type for state in show_job(job.id)[1]][-1] == StateType.RUNNING, "the claim holds"
    cancel_job(job.id)


def test_a_completion_is_quicker_than_a_cancel(redrive: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 3})
    wait_until(lambda: show_job(job.id)[0].status == "running", PATIENCE, "it to run")
    meanwhile(monkeypatch, lambda run: wait_for(run.id, timeout=PATIENCE))

    with pytest.raises(Conflict, match="ended in the meantime: Completed"):
        redrive("jobs", "cancel", str(job.id))

    after = show_job(job.id)[0]
    assert (after.state, after.cancelled_by) == ("Completed", None)


def test_a_cancel_follows_a_job_that_went_to_wait_for_its_next_try(
    job_stack: JobStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job_stack.folder("cancel-follows")
    job = enqueue("test-fail", {"folder": str(folder)})
    wait_until(lambda: show_job(job.id)[0].status == "running", PATIENCE, "it to run")

    def goes_to_wait(run: Run) -> None:
        wait_until(lambda: show_job(run.id)[0].status == "retrying", PATIENCE, "it to wait")

    meanwhile(monkeypatch, goes_to_wait)

    cancelled = cancel_job(job.id, who="ada")

    assert cancelled.state == "Cancelled", "what waits is cancelled at once"
    assert len(effects(folder, "fail")) == 2


def test_a_cancel_while_a_job_goes_to_wait_is_not_undone(job_stack: JobStack) -> None:
    folder = job_stack.folder("cancel-stays")
    jobs = [enqueue("test-fail", {"folder": str(folder / str(number))}) for number in range(4)]
    # Each is cancelled about when its second try failed, when it proposes to wait: before, after or in the middle.
    for number, job in enumerate(jobs):
        wait_until(lambda number=number: len(effects(folder / str(number), "fail")) >= 2, PATIENCE, "two tries")  # type: ignore[misc]
        cancel_job(job.id, who="ada")

    for job in jobs:
        wait_until(lambda job=job: show_job(job.id)[0].state == "Cancelled", PATIENCE, "it to be cancelled")  # type: ignore[misc]
    assert [len(effects(folder / str(number), "fail")) for number in range(4)] == [2] * 4
