"""The server's time is known from its answers, whatever this machine's clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine

from redrive.blocks.prefect.server_clock import ServerClock

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
#: As far as a clock that stands still can be told from the kernel's, which runs on.
EXACTLY = timedelta(milliseconds=100)


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


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize("age", [0, 0.3, 0.999, 1.4, 1.999])
def test_time_given_is_not_ahead_of_the_servers_however_old_the_second_in_its_answer_is(hours: int, age: float) -> None:
    clock = ServerClock()
    there = NOW + timedelta(hours=hours)
    with time_machine.travel(NOW, tick=False):
        clock.observe(format_datetime(there - timedelta(seconds=age), usegmt=True))

        assert clock.now() - there <= EXACTLY


@pytest.mark.parametrize("hours", [1, -1])
def test_freshest_answer_gives_the_time_and_an_older_one_does_not_put_it_back(hours: int) -> None:
    clock = ServerClock()
    there = NOW + timedelta(hours=hours)
    with time_machine.travel(NOW, tick=False):
        for age in (1, 0, 1):
            clock.observe(format_datetime(there - timedelta(seconds=age), usegmt=True))

        assert abs(clock.now() - there) <= EXACTLY


def test_server_whose_clock_was_put_back_is_followed_back() -> None:
    clock = ServerClock()
    with time_machine.travel(NOW, tick=False):
        clock.observe(format_datetime(NOW + timedelta(hours=1), usegmt=True))
        clock.observe(format_datetime(NOW + timedelta(minutes=59), usegmt=True))

        assert abs(clock.now() - NOW - timedelta(minutes=59)) <= EXACTLY


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 25 Nov 2026 13:00:00"])
def test_answer_without_a_date_changes_nothing(date: str | None) -> None:
    clock = ServerClock()

    clock.observe(date)

    assert clock.ahead == timedelta(0)
