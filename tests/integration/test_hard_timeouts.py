"""A step that outlives its timeout in C is killed, and that is a failed try of the job."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State

from redrive.deployments.enqueue import enqueue, wait_for
from tests.support.job_stack import JobStack, effects
from tests.support.plain_prefect import PATIENCE
from tests.support.prefect_client import api

pytestmark = pytest.mark.timeout(900)


def test_step_that_outlives_its_timeout_in_c_counts_as_a_failed_try(job_stack: JobStack) -> None:
    folder = job_stack.folder("deaf")

    run_id = enqueue("test-deaf", {"folder": str(folder)}).id
    end = wait_for(run_id, timeout=2 * PATIENCE)
    row = job_stack.dead_letter(run_id, timeout=60)

    assert end.state is not None
    assert end.state.name == "DeadLetter"
    said = "step 'deaf_step' ran over its 2 s and did not stop, so its process was killed"
    assert str(end.state.message).startswith("dead letter: 2 of 2 tries failed (TimeoutError)")
    assert said in str(end.state.message)
    assert (row.reason, row.error_type, row.tries, row.crashes) == ("tries", "TimeoutError", 2, 0)
    assert said in row.message
    assert len(effects(folder, "deaf")) == 2
    # What was done before is not done again.
    assert len(effects(folder, "before")) == 1
    waits = [state.message for state in _history(run_id) if state.name == "AwaitingRetry"]
    assert len(waits) == 1
    assert str(waits[0]).startswith("try 1 of 2 failed; next at ")
    assert said in str(waits[0])


def test_step_that_is_killed_once_for_its_timeout_may_succeed_after_that(job_stack: JobStack) -> None:
    folder = job_stack.folder("deaf")

    run_id = enqueue("test-deaf", {"folder": str(folder), "good_at": 2}).id
    end = wait_for(run_id, timeout=2 * PATIENCE)

    assert end.state is not None
    assert end.state.name == "Completed"
    assert len(effects(folder, "deaf")) == 2
    assert end.labels.get("redrive.crashes", 0) == 0


def _history(run_id: UUID) -> list[State[Any]]:
    states: list[State[Any]] = api().read_flow_run_states(run_id)
    return sorted(states, key=lambda state: state.timestamp)
