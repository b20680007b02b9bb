"""Which attempt holds a run, and which death was counted: by the ids of states, never by comparing clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import State, StateType

from redrive.blocks.prefect.past import counted_deaths, death_to_count, last_of
from redrive.blocks.prefect.run_labels import DEATH_COUNTED, REDRIVEN_AT, fresh_count
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

    assert latest_attempt(states, now=states[5].id) == str(states[4].id)
    assert latest_attempt(history("RUNNING"), now=None) is None


def test_a_death_counted_by_its_id_is_not_counted_again_whatever_the_clocks_say() -> None:
    states = history("PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING")
    slow_clock = NOW - timedelta(hours=1)

    labels = fresh_count(slow_clock, death=states[2].id)

    assert death_to_count(states, labels, now=states[-1].id) is None


def test_a_death_after_the_counted_one_is_to_be_counted_whatever_the_clocks_say() -> None:
    states = history("FAILED", "SCHEDULED", "PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING")
    fast_clock = NOW + timedelta(hours=1)

    labels = fresh_count(fast_clock, death=states[0].id)

    assert death_to_count(states, labels, now=states[-1].id) == str(states[4].id)


def test_a_redriven_crash_hides_no_death_before_or_after_it() -> None:
    states = history("FAILED", "SCHEDULED", "RUNNING", "CRASHED", "SCHEDULED", "RUNNING")

    assert death_to_count(states, {DEATH_COUNTED: str(states[3].id)}, now=states[-1].id) is None


def test_a_run_redriven_before_there_was_the_label_is_judged_by_the_time() -> None:
    states = history("FAILED", "SCHEDULED", "PENDING")

    assert death_to_count(states, {REDRIVEN_AT: (NOW + timedelta(seconds=1)).isoformat()}, now=states[-1].id) is None
    assert death_to_count(states, {REDRIVEN_AT: (NOW - timedelta(seconds=1)).isoformat()}, now=states[-1].id) == str(
        states[0].id
    )
    assert death_to_count(states, {}, now=states[-1].id) == str(states[0].id)


def test_attempt_that_began_after_the_servers_clock_was_put_back_is_the_last_one() -> None:
    states = put_back(history("SCHEDULED", "PENDING", "RUNNING", "CRASHED", "SCHEDULED", "PENDING", "RUNNING"), last=3)

    now = by_age(states)[-1]
    claim = by_age(states)[-2]

    assert latest_attempt(states, now=now.id) == str(claim.id)
    assert last_of(states, "CRASHED", now=now.id) is by_age(states)[3]


def test_attempt_after_the_servers_clock_was_put_back_is_current_until_somebody_else_acts() -> None:
    states = put_back(history("SCHEDULED", "PENDING", "RUNNING", "CRASHED", "SCHEDULED", "PENDING", "RUNNING"), last=3)
    claim = str(by_age(states)[-2].id)
    older = {str(state.id) for state in states} - {claim, str(by_age(states)[-1].id)}

    assert is_current(states, claim, older)
    assert not is_current([*states, *history("CRASHED")], claim, older)


@pytest.mark.parametrize("last", range(5))
def test_retry_in_prefect_counts_afresh_wherever_the_servers_clock_was_put_back(last: int) -> None:
    deaths = history(
        "PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING"
    )
    states = put_back(deaths, last=last)
    counted, fresh = (str(state.id) for state in by_age(states) if state.type == "FAILED")

    assert death_to_count(states, {DEATH_COUNTED: counted}, now=by_age(states)[-1].id) == fresh


@pytest.mark.parametrize("last", range(8))
def test_redrive_counts_once_wherever_the_servers_clock_was_put_back(last: int) -> None:
    deaths = history("FAILED", "SCHEDULED", "PENDING", "RUNNING", "FAILED", "SCHEDULED", "PENDING", "RUNNING")
    states = put_back(deaths, last=last)
    first, second = (state.id for state in by_age(states) if state.type == "FAILED")
    labels = fresh_count(NOW, death=first)
    labels |= fresh_count(NOW, death=second, counted=counted_deaths(labels))

    assert death_to_count(states, labels, now=by_age(states)[-1].id) is None


def put_back(states: list[State[Any]], *, last: int) -> list[State[Any]]:
    """As the server tells them if its clock was put back by an hour before the last ones."""
    for state in states[len(states) - last :]:
        state.timestamp -= timedelta(hours=1)
    for number, state in enumerate(states):
        state.name = str(number)
    return sorted(states, key=lambda state: state.timestamp)


def by_age(states: list[State[Any]]) -> list[State[Any]]:
    return sorted(states, key=lambda state: int(state.name or 0))
