"""How long a server may stay unanswered while a person waits."""

from __future__ import annotations

import sys
import time
from types import ModuleType

import pytest
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT

from redrive.blocks.core import patience
from redrive.blocks.core.patience import (
    AGAIN,
    COMMAND,
    LEAST,
    PERSON,
    REMEMBERED,
    SERVICE,
    answered,
    hurry,
    left_for,
    unanswered,
)
from redrive.blocks.prefect.client import prefect_settings, reachable


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has asked nobody yet."""
    monkeypatch.setattr(patience._Process, "patience", SERVICE)
    monkeypatch.setattr(patience._Process, "due", None)
    monkeypatch.setattr(patience._Process, "unanswered_at", {})
    monkeypatch.setattr(patience._Process, "answering", set())


def test_service_waits_long() -> None:
    assert left_for("api") == SERVICE


def test_command_that_started_at_once_waits_as_long_as_a_person_does() -> None:
    hurry(age=0)

    assert left_for("api") == PERSON


def test_what_a_command_took_to_start_is_taken_off_the_first_answer() -> None:
    hurry(age=5)

    assert left_for("api") == pytest.approx(COMMAND - 5, abs=0.5)


def test_command_that_took_long_to_start_leaves_a_busy_server_some_seconds() -> None:
    hurry(age=60)

    assert left_for("api") == LEAST


def test_server_that_has_answered_has_the_full_time_again() -> None:
    hurry(age=5)

    answered("api")

    assert left_for("api") == PERSON
    assert left_for("ledger") < PERSON


def test_server_that_was_silent_a_moment_ago_is_not_waited_for_anew() -> None:
    hurry(age=0)

    unanswered("api")

    assert left_for("api") == AGAIN


def test_busy_server_that_is_asked_again_and_again_has_its_full_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(age=0)
    now = time.monotonic()
    had_all_its_time = 0

    for second in range(int(3 * REMEMBERED)):
        monkeypatch.setattr(time, "monotonic", lambda at=now + second: at)
        had_all_its_time += left_for("api") > AGAIN
        unanswered("api")

    assert had_all_its_time == 3


def test_age_of_a_process_is_counted_by_the_kernel() -> None:
    hurry()

    assert patience._age() > 0


def test_another_thread_that_is_importing_prefect_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its modules are there then, and empty: a bulk act stopped by that."""
    monkeypatch.setitem(sys.modules, "prefect.context", ModuleType("prefect.context"))

    with reachable():
        pass


def test_blocks_get_what_the_start_of_the_command_has_left_of_it() -> None:
    hurry(age=5)

    with prefect_settings():
        assert PREFECT_API_REQUEST_TIMEOUT.value() == pytest.approx(COMMAND - 5, abs=0.5)
