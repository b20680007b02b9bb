"""Which attempt holds a run, and which death was counted: by the ids of states, never by comparing clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import State, StateType

from redrive.blocks.prefect.run_labels import DEATH_COUNTED, REDRIVEN_AT, death_to_count, fresh_count
from redrive.flows.engine.superseded import holds, is_current, latest_attempt

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def history(*types: str) -> list[State[Any]]:
    return [
        State(type=StateType(kind), id=uuid4(), timestamp=NOW + timedelta(seconds=at)) for at, kind in enumerate(types)
    ]


@pytest.mark.parametrize(
    ("since", "current"),
    [
        ([], True),
        (["RUNNING"], True),
        (["RUNNING", "CANCELLING"], True),
        (["RUNNING", "PAUSED", "RUNNING"], True),
        (["RUNNING", "CRASHED"], False),
        (["RUNNING", "CRASHED", "SCHEDULED", "PENDING", "RUNNING"], False),
        (["RUNNING", "CRASHED", "SCHEDULED", "PENDING", "RUNNING", "COMPLETED"], False),
        (["CANCELLED"], False),
    ],
)
def test_an_attempt_is_current_while_nobody_else_changed_its_run(since: list[str], current: bool) -> None:
    states = history("SCHEDULED", "PENDING", *since)

    assert is_current(states, str(states[1].id)) is current


def test_an_attempt_in_its_running_state_is_current_whatever_the_clocks_say() -> None:
    _, running = history("PENDING", "RUNNING")

    assert holds(running, str(running.id)) is True


@pytest.mark.parametrize("kind", ["CRASHED", "SCHEDULED", "PENDING", "COMPLETED", "FAILED", "CANCELLED"])
def test_an_attempt_whose_run_others_moved_on_is_superseded_even_if_they_did_so_an_hour_before(kind: str) -> None:
    running, taken = history("RUNNING", kind)
    taken.timestamp = NOW - timedelta(hours=1)

    assert holds(taken, str(running.id)) is False


@pytest.mark.parametrize("kind", ["RUNNING", "CANCELLING", "PAUSED"])
def test_another_state_in_progress_is_judged_by_the_history(kind: str) -> None:
    mine, other = history("RUNNING", kind)

    assert holds(other, str(mine.id)) is None


def test_the_attempt_of_a_run_is_its_last_claim() -> None:
    states = history("SCHEDULED", "PENDING", "RUNNING", "SCHEDULED", "PENDING", "RUNNING")

    assert latest_attempt(states) == str(states[4].id)
    assert latest_attempt(history("RUNNING")) is None


def test_a_death_counted_by_its_id_is_not_counted_again_whatever_the_clocks_say() -> None:
    states = history("PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING")
    slow_clock = NOW - timedelta(hours=1)

    labels = fresh_count(slow_clock, death=states[2].id)

    assert death_to_count(states, labels) is None


def test_a_death_after_the_counted_one_is_to_be_counted_whatever_the_clocks_say() -> None:
    states = history("FAILED", "SCHEDULED", "PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING")
    fast_clock = NOW + timedelta(hours=1)

    labels = fresh_count(fast_clock, death=states[0].id)

    assert death_to_count(states, labels) == str(states[4].id)


def test_a_redriven_crash_hides_no_death_before_or_after_it() -> None:
    states = history("FAILED", "SCHEDULED", "RUNNING", "CRASHED", "SCHEDULED", "RUNNING")

    assert death_to_count(states, {DEATH_COUNTED: str(states[3].id)}) is None


def test_a_run_redriven_before_there_was_the_label_is_judged_by_the_time() -> None:
    states = history("FAILED", "SCHEDULED", "PENDING")

    assert death_to_count(states, {REDRIVEN_AT: (NOW + timedelta(seconds=1)).isoformat()}) is None
    assert death_to_count(states, {REDRIVEN_AT: (NOW - timedelta(seconds=1)).isoformat()}) == str(states[0].id)
    assert death_to_count(states, {}) == str(states[0].id)
