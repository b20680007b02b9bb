"""The life of a job on a real server: tries, waits, ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.states import Scheduled

from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs.details import cancel_job, retry_now, show_job
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120


def times(folder: Path, name: str) -> list[datetime]:
    return [datetime.fromisoformat(line.split()[0]) for line in effects(folder, name)]


def names(run_id: UUID) -> list[str]:
    return [str(state.name) for state in show_job(run_id)[1]]


def state_of(run_id: UUID) -> Any:
    return api().read_flow_run(run_id).state


def test_three_tries_a_second_and_five_apart_then_one_dead_letter(job_stack: JobStack) -> None:
    folder = job_stack.folder("fail")
    job = enqueue("test-fail", {"folder": str(folder)})

    waiting = wait_until(
        lambda: state_of(job.id) if state_of(job.id).name == "AwaitingRetry" else None, PATIENCE, "the wait"
    )
    # The slot is free while the job waits: another one runs in it.
    other = wait_for(enqueue("test-ok", {"folder": str(folder)}).id, timeout=PATIENCE)
    end = wait_for(job.id, timeout=PATIENCE)

    assert other.state is not None
    assert other.state.is_completed()
    assert waiting.message.startswith("try 2 of 3 failed; next at ")
    assert waiting.state_details.scheduled_time - waiting.timestamp <= timedelta(seconds=5.1)
    assert end.state is not None
    assert (end.state.name, end.state.message) == ("DeadLetter", "dead letter: 3 of 3 tries failed (ConnectionError)")
    first, second, third = times(folder, "fail")
    assert second - first >= timedelta(seconds=1)
    assert third - second >= timedelta(seconds=5)
    row = job_stack.dead_letter(job.id)
    assert (row.error_type, row.tries, row.reason, row.step) == ("ConnectionError", 3, "tries", "fail_step")
    assert row.traceback is not None
    assert "raise ConnectionError(message)\nConnectionError: nobody answers" in row.traceback
    assert row.parameters == {"folder": str(folder)}


def test_a_job_that_waits_was_never_final(job_stack: JobStack) -> None:
    folder = job_stack.folder("flaky")
    job = enqueue("test-flaky", {"folder": str(folder), "good_at": 3})

    end = wait_for(job.id, timeout=PATIENCE)

    assert end.state is not None
    assert end.state.is_completed()
    assert {"Failed", "DeadLetter", "Crashed"}.isdisjoint(names(job.id))
    assert len(effects(folder, "flaky")) == 3
    assert len(effects(folder, "before")) == 1, "a completed step ran again"


def test_body_without_steps_is_tried_by_the_same_policy(job_stack: JobStack) -> None:
    folder = job_stack.folder("body")

    end = wait_for(enqueue("test-body", {"folder": str(folder)}).id, timeout=PATIENCE)

    assert end.state is not None
    assert end.state.message == "dead letter: 3 of 3 tries failed (ConnectionError)"
    assert len(effects(folder, "body")) == 3


def test_permanent_error_is_tried_once(job_stack: JobStack) -> None:
    folder = job_stack.folder("permanent")

    end = wait_for(enqueue("test-permanent", {"folder": str(folder)}).id, timeout=PATIENCE)

    assert end.state is not None
    said = "dead letter: permanent error, not tried again (PermanentError): this address does not exist"
    assert end.state.message == said
    assert len(effects(folder, "permanent")) == 1


def test_snooze_spends_no_try(job_stack: JobStack) -> None:
    folder = job_stack.folder("nap")
    job = enqueue("test-nap", {"folder": str(folder)})

    end = wait_for(job.id, timeout=PATIENCE)

    assert end.state is not None
    assert end.state.is_completed()
    assert len(effects(folder, "nap")) == 3
    assert show_job(job.id)[0].tries == 0


def test_timeout_is_a_failed_try(job_stack: JobStack) -> None:
    folder = job_stack.folder("slow")

    end = wait_for(enqueue("test-slow", {"folder": str(folder)}).id, timeout=PATIENCE)

    assert end.state is not None
    assert end.state.message == "dead letter: 2 of 2 tries failed (TaskRunTimeoutError)"
    assert len(effects(folder, "slow")) == 2


def test_step_that_could_not_remember_is_refused_before_it_runs(job_stack: JobStack) -> None:
    folder = job_stack.folder("unhashable")
    job = enqueue("test-unhashable", {"folder": str(folder)})

    wait_for(job.id, timeout=PATIENCE)

    assert "declare it with reuse=False" in job_stack.dead_letter(job.id).message


def test_listeners_are_called_and_a_failing_one_harms_nothing(job_stack: JobStack) -> None:
    folder = job_stack.folder("listeners")

    good = wait_for(enqueue("test-ok", {"folder": str(folder)}).id, timeout=PATIENCE)
    wait_for(enqueue("test-fail-once", {"folder": str(folder), "message": "no"}).id, timeout=PATIENCE)

    assert good.state is not None
    assert good.state.is_completed()
    assert len(effects(folder, "listener-started-test-ok")) == 1
    assert len(effects(folder, "listener-finished-test-ok")) == 1
    assert len(effects(folder, "listener-failed-test-fail-once")) == 1
    assert effects(folder, "listener-finished-test-fail-once") == []


def test_retry_button_of_prefects_ui_counts_afresh(job_stack: JobStack) -> None:
    folder = job_stack.folder("button")
    job = enqueue("test-fail-once", {"folder": str(folder), "message": "press retry"})
    wait_for(job.id, timeout=PATIENCE)
    row = job_stack.dead_letter(job.id)
    (folder / "mended").touch()

    # What the button sends: a forced AwaitingRetry.
    api().set_flow_run_state(job.id, Scheduled(name="AwaitingRetry", message="Retry from the UI"), force=True)

    wait_until(lambda: state_of(job.id).is_completed(), PATIENCE, "the retried job to complete")
    resolved = job_stack.dead_letter(job.id, status="resolved")
    assert resolved.id == row.id
    assert show_job(job.id)[0].tries == 0


def test_waiting_job_is_cancelled_at_once(job_stack: JobStack) -> None:
    folder = job_stack.folder("cancel-waiting")
    job = enqueue("test-fail", {"folder": str(folder)})
    wait_until(lambda: state_of(job.id).name == "AwaitingRetry", PATIENCE, "the wait")

    cancelled = cancel_job(job.id)

    assert cancelled.state == "Cancelled"
    assert len(effects(folder, "fail")) == 2


def test_job_that_did_not_start_is_cancelled_at_once(job_stack: JobStack) -> None:
    job = enqueue("test-ok", {"folder": str(job_stack.folder("cancel-early"))}, delay=3600)

    assert cancel_job(job.id).state == "Cancelled"


def test_running_job_is_cancelled_and_its_process_ends(job_stack: JobStack) -> None:
    folder = job_stack.folder("cancel-running")
    job = enqueue("test-long", {"folder": str(folder)})
    wait_until(lambda: effects(folder, "long"), PATIENCE, "the job to run")

    cancel_job(job.id)

    wait_until(lambda: state_of(job.id).name == "Cancelled", PATIENCE, "the running job to be cancelled")
    wait_until(lambda: not _processes_of(job_stack, job.id), PATIENCE, "its process to end")


def test_next_try_can_be_had_now(job_stack: JobStack) -> None:
    folder = job_stack.folder("now")
    job = enqueue("test-ok", {"folder": str(folder)}, delay=3600)

    retry_now(job.id, who="an operator")

    wait_for(job.id, timeout=PATIENCE)
    assert len(effects(folder, "ok")) == 1


def _processes_of(stack: JobStack, run_id: UUID) -> list[int]:
    return [one.pid for one in stack.processes() if _run_of(one) == str(run_id)]


def _run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("PREFECT__FLOW_RUN_ID")
    except psutil.NoSuchProcess:  # it ended while it was looked at
        return None


@pytest.fixture(autouse=True)
def _patient(job_stack: JobStack) -> None:
    """Every test here needs the stack."""
