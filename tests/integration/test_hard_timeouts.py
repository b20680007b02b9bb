"""A step that outlives its timeout in C is killed, and that is a failed try: by the step's own policy, if it has one."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State

from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import step_that_timed_out, timed_out
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.keeper.rescue import Rescuer
from tests.support.job_stack import JobStack, effects
from tests.support.keeperless import Keeperless
from tests.support.plain_prefect import PATIENCE
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


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


@pytest.mark.parametrize("tries", [1, 2])
def test_hard_timeout_of_a_step_with_its_own_policy_spends_its_own_tries(keeperless: Keeperless, tries: int) -> None:
    own = RetryPolicy(max_tries=2, backoff=(1,), jitter=0).model_dump(mode="json")
    spent = SpentTries(1, {"deaf": tries - 1, "other": 3}).labels()
    run = keeperless.run(keeperless.deployment("jobs"), labels={**spent, **timed_out(tries, step="deaf", own=own)})

    after = killed(keeperless, run)

    # Its job, which nobody here knows, would have one try.
    assert after.state_name == ("AwaitingRetry" if tries == 1 else "DeadLetter")
    assert after.message.startswith(
        "try 1 of 2 failed" if tries == 1 else "dead letter: 2 of 2 tries failed (TimeoutError)"
    )
    assert SpentTries.of_run(after.labels) == SpentTries(1, {"deaf": tries, "other": 3})
    assert after.labels.hard_timeout == 0
    assert step_that_timed_out(after.labels) is None


def test_hard_timeout_counts_beside_tries_that_are_counted_apart(keeperless: Keeperless) -> None:
    labels = {**SpentTries(0, {"other": 3}).labels(), **timed_out(1)}
    run = keeperless.run(keeperless.deployment("jobs"), labels=labels)

    after = killed(keeperless, run)

    # Read from the count apart, as the next attempt reads it; else it would be the first try for ever.
    assert SpentTries.of_run(after.labels) == SpentTries(1, {"other": 3})


@pytest.mark.soak
def test_step_with_a_policy_of_its_own_is_killed_no_oftener_than_that_allows(job_stack: JobStack) -> None:
    folder = job_stack.folder("deaf-apart")

    run_id = enqueue("test-deaf-apart", {"folder": str(folder)}).id
    row = job_stack.dead_letter(run_id, timeout=2 * PATIENCE)

    assert (row.reason, row.error_type, row.tries, row.crashes) == ("tries", "TimeoutError", 2, 0)
    assert len(effects(folder, "deaf")) == 2


def killed(keeperless: Keeperless, run_id: UUID) -> Run:
    """The run after its worker killed its process and the keeper dealt with it."""
    keeperless.set(run_id, "CRASHED", message="worker w: step 'deaf' ran over its 2 s")
    rescuer = Rescuer(settings(), keeperless.ledger)
    wait_until(lambda: rescuer.sweep(now=time.monotonic()), 20, "the rescue")
    return keeperless.read(run_id)


def _history(run_id: UUID) -> list[State[Any]]:
    states: list[State[Any]] = api().read_flow_run_states(run_id)
    return sorted(states, key=lambda state: state.timestamp)
