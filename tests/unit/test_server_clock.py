"""The server's time is known from its answers, whatever this machine's clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine

from redrive.blocks.prefect.server_clock import ServerClock

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize("hours", [1, -1])
def test_server_ahead_or_behind_is_followed(hours: int) -> None:
    clock = ServerClock()
    with time_machine.travel(NOW, tick=False):
        clock.observe(format_datetime(NOW + timedelta(hours=hours), usegmt=True))

        assert abs(clock.now() - NOW - timedelta(hours=hours)) <= timedelta(seconds=1)


def test_step_of_this_machines_clock_is_undone_by_the_next_answer() -> None:
    clock = ServerClock()
    with time_machine.travel(NOW, tick=False):
        clock.observe(format_datetime(NOW, usegmt=True))
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        clock.observe(format_datetime(NOW, usegmt=True))

        assert abs(clock.now() - NOW) <= timedelta(seconds=1)


@pytest.mark.parametrize("hours", [1, -1])
def test_step_of_this_machines_clock_is_noticed_before_the_next_answer(hours: int) -> None:
    clock = ServerClock()
    with time_machine.travel(NOW, tick=False):
        clock.observe(format_datetime(NOW + timedelta(minutes=10), usegmt=True))
    with time_machine.travel(NOW + timedelta(hours=hours), tick=False):
        assert abs(clock.now() - NOW - timedelta(minutes=10)) <= timedelta(seconds=2)


@pytest.mark.parametrize(
    ("ago", "passed"), [(61, True), (59, False), (0, False), (-4, False), (-3600, True)],
    ids=["longer ago", "not so long ago", "now", "a clock that nearly agrees", "before the clock was put back"],
)  # fmt: skip
def test_moment_in_the_future_is_not_waited_for(ago: float, *, passed: bool) -> None:
    with time_machine.travel(NOW, tick=False):
        clock = ServerClock()

        assert clock.has_passed(timedelta(seconds=60), since=NOW - timedelta(seconds=ago)) is passed


def test_clocks_that_nearly_agree_are_taken_for_equal() -> None:
    clock = ServerClock()
    with time_machine.travel(NOW, tick=False):
        clock.observe(format_datetime(NOW - timedelta(seconds=2), usegmt=True))

        assert clock.now() == NOW


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 25 Nov 2026 13:00:00"])
def test_answer_without_a_date_changes_nothing(date: str | None) -> None:
    clock = ServerClock()

    clock.observe(date)

    assert clock.ahead == timedelta(0)
