"""The life of a job in containers of its own: the tests of the warm pool's, and what only an engine can do to a job."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs.details import cancel_job, show_job
from tests.integration.test_job_life import (
    PATIENCE,
    names,
    state_of,
    test_a_job_that_waits_was_never_final,
    test_body_without_steps_is_tried_by_the_same_policy,
    test_job_that_did_not_start_is_cancelled_at_once,
    test_listeners_are_called_and_a_failing_one_harms_nothing,
    test_next_try_can_be_had_now,
    test_permanent_error_is_tried_once,
    test_retry_button_of_prefects_ui_counts_afresh,
    test_snooze_spends_no_try,
    test_step_that_could_not_remember_is_refused_before_it_runs,
    test_three_tries_a_second_and_five_apart_then_one_dead_letter,
    test_timeout_is_a_failed_try,
    test_waiting_job_is_cancelled_at_once,
)
from tests.support.engine import TestEngine
from tests.support.job_stack import JobStack, effects
from tests.support.waiting import wait_until

__all__ = [
    "test_a_job_that_waits_was_never_final",
    "test_body_without_steps_is_tried_by_the_same_policy",
    "test_job_that_did_not_start_is_cancelled_at_once",
    "test_listeners_are_called_and_a_failing_one_harms_nothing",
    "test_next_try_can_be_had_now",
    "test_permanent_error_is_tried_once",
    "test_retry_button_of_prefects_ui_counts_afresh",
    "test_snooze_spends_no_try",
    "test_step_that_could_not_remember_is_refused_before_it_runs",
    "test_three_tries_a_second_and_five_apart_then_one_dead_letter",
    "test_timeout_is_a_failed_try",
    "test_waiting_job_is_cancelled_at_once",
]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def engine() -> Iterator[TestEngine]:
    with TestEngine() as found:
        yield found


@pytest.fixture(scope="module")
def running_job_stack(engine: TestEngine) -> Iterator[JobStack]:
    """In the place of the session's: one whose jobs are all in containers."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-contained-"))
    stack = JobStack(folder / ".redrive", retry_after=20)
    container = engine.here(folder, env={"PYTHONPATH": str(ROOT)})
    stack.env |= {
        "REDRIVE_JOBS": "tests.support.contained_jobs",
        "TEST_CONTAINER": json.dumps(container),
        "DOCKER_HOST": engine.url,
    }
    try:
        stack.start()
        yield stack
    finally:
        if sys.exc_info()[0]:
            sys.stderr.write((stack.home / "logs" / "worker.log").read_text()[-4000:])
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def of_run(engine: TestEngine, run_id: UUID) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.api.containers(all=True, filters={"label": f"redrive.run={run_id}"})
    return found


def test_running_job_is_cancelled_and_its_container_ends(job_stack: JobStack, engine: TestEngine) -> None:
    folder = job_stack.folder("cancel-running")
    job = enqueue("test-long", {"folder": str(folder)})
    wait_until(lambda: effects(folder, "long"), PATIENCE, "the job to run")
    assert len(of_run(engine, job.id)) == 1

    cancel_job(job.id)

    wait_until(lambda: state_of(job.id).name == "Cancelled", PATIENCE, "the running job to be cancelled")
    wait_until(lambda: not of_run(engine, job.id), PATIENCE, "its container to end")


def test_job_that_kills_itself_again_and_again_is_a_dead_letter_when_its_crashes_are_spent(job_stack: JobStack) -> None:
    folder = job_stack.folder("die")

    end = wait_for(enqueue("test-die", {"folder": str(folder)}).id, timeout=PATIENCE)

    assert end.state is not None
    assert end.state.name == "DeadLetter"
    row = job_stack.dead_letter(end.id)
    assert (row.reason, row.crashes) == ("crash", 2)
    assert "container was killed by signal 9" in row.message
    assert len(effects(folder, "die")) == 2


def test_job_whose_container_was_killed_once_completes(job_stack: JobStack) -> None:
    folder = job_stack.folder("die-once")

    end = wait_for(enqueue("test-die", {"folder": str(folder), "times": 1}).id, timeout=PATIENCE)

    assert end.state is not None
    assert end.state.is_completed()
    assert len(effects(folder, "die")) == 2


def test_job_whose_engine_was_killed_and_started_again_is_rescued_and_never_runs_twice_at_once(
    job_stack: JobStack, engine: TestEngine
) -> None:
    folder = job_stack.folder("engine")
    job = enqueue("test-long", {"folder": str(folder)})
    wait_until(lambda: effects(folder, "long"), PATIENCE, "the job to run")
    (first,) = of_run(engine, job.id)

    engine.stop(signal.SIGKILL)
    engine.start()

    # Its second execution, in another container; the first one is gone by then.
    wait_until(lambda: len(effects(folder, "long")) == 2, PATIENCE, "the rescued job to run again")
    assert first["Id"] not in [one["Id"] for one in of_run(engine, job.id) if one["State"] == "running"]
    (folder / "enough").touch()
    end = wait_for(job.id, timeout=PATIENCE)
    assert end.state is not None
    assert end.state.is_completed()
    assert len(effects(folder, "long")) == 2
    assert "DeadLetter" not in names(job.id)
    assert show_job(job.id)[0].crashes == 1


def test_worker_and_engine_killed_together_lose_no_job(job_stack: JobStack, engine: TestEngine) -> None:
    """As when the host is reset: nobody is left who could report the end; the keeper finds out by the lease."""
    folder = job_stack.folder("host")
    job = enqueue("test-long", {"folder": str(folder)})
    wait_until(lambda: effects(folder, "long"), PATIENCE, "the job to run")
    (first,) = of_run(engine, job.id)
    inside = engine.api.inspect_container(first["Id"])["State"]["Pid"]

    engine.stop(signal.SIGKILL)
    job_stack.kill("worker")
    os.kill(inside, signal.SIGKILL)
    engine.start()

    wait_until(lambda: len(effects(folder, "long")) == 2, PATIENCE, "the rescued job to run again")
    (folder / "enough").touch()
    end = wait_for(job.id, timeout=PATIENCE)
    assert end.state is not None
    assert end.state.is_completed()
    assert len(effects(folder, "long")) == 2


def test_check_sees_the_engine_and_that_it_does_not_answer(job_stack: JobStack, engine: TestEngine) -> None:
    def found() -> dict[str, Any]:
        points = json.loads(job_stack.redrive("check", "--json", check=False).stdout)
        (one,) = (one for one in points if one["point"] == "containers")
        return dict(one)

    there = found()
    assert (there["well"], there["said"].partition(";")[0].split()[0]) == (True, "engine")
    engine.stop()
    try:
        away = found()
    finally:
        engine.start()

    assert not away["well"]
    assert "engine" in away["said"]
