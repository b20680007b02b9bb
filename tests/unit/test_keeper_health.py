"""The sentence that says how the keeper is: which duty is late, since when, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from redrive.deployments.dead_letters.ledger import DutyState
from redrive.deployments.health.keeper_health import keeper_health

NOW = datetime(2026, 11, 25, 1, 30, tzinfo=UTC)


def a_duty(name: str, age: float, **facts: Any) -> DutyState:
    given: dict[str, Any] = {
        "every": 5.0, "keeper": "host:71", "last_success": NOW - timedelta(seconds=age), "last_failure": None,
        "error": None, "seconds": 0.1,
    } | facts  # fmt: skip
    return DutyState(duty=name, age=age, **given)


def test_duties_in_time_are_well() -> None:
    health = keeper_health([a_duty("rescue", 5), a_duty("audit", 900, every=600)])

    assert health.healthy
    assert health.summary == "all 2 duties are done in time"


def test_one_late_duty_is_named_with_since_when_and_what_to_do() -> None:
    health = keeper_health([a_duty("rescue", 90), a_duty("collect", 3)])

    assert not health.healthy
    assert health.summary.startswith("rescue was not done for 90 s, since 2026-11-25 01:28:30Z; `redrive status` shows")
    assert "`kill -9 PID`" in health.summary
    assert [(late.duty, late.age) for late in health.late] == [("rescue", 90)]


def test_duty_whose_name_says_little_is_read_in_words_and_keeps_its_name_for_programs() -> None:
    health = keeper_health([a_duty("unstrand", 900, every=20, error="no"), a_duty("collect", 3)])

    assert health.summary.startswith("release stuck retries was not done for")
    assert health.summary.endswith("release stuck retries fails with: no")
    assert [(late.duty, late.title) for late in health.late] == [("unstrand", "release stuck retries")]


def test_a_keeper_that_does_nothing_is_reported_as_one_thing() -> None:
    health = keeper_health([a_duty(name, age) for name, age in (("rescue", 200), ("collect", 201), ("resolve", 203))])

    assert health.summary.startswith("none of its 3 duties was done for 3 min, since 2026-11-25 01:26:40Z; ")
    assert [late.duty for late in health.late] == ["resolve", "collect", "rescue"]


def test_what_a_late_duty_fails_with_is_what_to_fix() -> None:
    health = keeper_health([a_duty("rescue", 200, error="the ledger's\ndatabase is unavailable"), a_duty("collect", 1)])

    assert health.summary.endswith("; rescue fails with: the ledger's database is unavailable")
    assert "kill" not in health.summary


def test_many_late_duties_are_counted() -> None:
    health = keeper_health([*(a_duty(f"duty {number}", 100 + number) for number in range(5)), a_duty("collect", 1)])

    assert health.summary.startswith("duty 4, duty 3, duty 2 and 2 more were not done for 100 s")


def test_a_duty_that_was_never_done_says_since_when_it_was_meant_to_be() -> None:
    health = keeper_health([a_duty("rescue", 300, last_success=None), a_duty("collect", 1)])

    assert health.summary.startswith("rescue was not done since it began 5 min ago; ")


def test_no_keeper_at_all_says_what_starts_one() -> None:
    health = keeper_health([])

    assert not health.healthy
    assert "`redrive up`" in health.summary
