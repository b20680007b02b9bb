"""What ended is counted once each, whatever the exporter, the pages and the clocks did meanwhile."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from redrive.dashboards.exporter.finished import CERTAIN
from tests.support.exporter_rig import Rig
from tests.support.waiting import wait_until

SECOND = timedelta(seconds=1)


def test_a_job_that_ends_while_the_exporter_is_down_is_counted_when_it_returns(rig: Rig) -> None:
    rig.finished()
    rig.sample()
    rig.finished()
    rig.restart()

    rig.sample()
    rig.sample()

    assert rig.counted() == 2
    assert rig.scraped()["queue_jobs_total", "mail", "high", "completed"] == 2


def test_ten_thousand_jobs_that_ended_meanwhile_are_counted_once_each(rig: Rig) -> None:
    now = datetime.now(UTC)
    for number in range(10_000):
        # Many end in one instant: more than fit a page.
        rig.finished(end=now + (number // 500) * SECOND / 100)
    wait_until(lambda: datetime.now(UTC) > now + SECOND, 5)

    rig.sample()

    assert rig.counted() == 10_000
    assert len(rig.api.calls) < 120


def test_what_was_counted_of_a_sweep_that_was_cut_off_is_not_counted_again(rig: Rig) -> None:
    now = datetime.now(UTC)
    for number in range(1000):
        rig.finished(end=now + number * SECOND / 1000)
    wait_until(lambda: datetime.now(UTC) > now + SECOND, 5)
    cut_off(rig, after=3)

    with suppress(RuntimeError):
        rig.tail.sweep()

    assert 0 < rig.counted() < 1000
    rig.restart()
    rig.sample()
    assert rig.counted() == 1000


def test_a_run_that_leaves_the_list_between_two_pages_hides_no_other(rig: Rig) -> None:
    now = datetime.now(UTC)
    runs = [rig.finished(end=now - number * SECOND / 1000) for number in range(400)]
    pages = rig.api._page

    def redriven_meanwhile(body: dict[str, Any]) -> list[dict[str, Any]]:
        found = pages(body)
        if runs[0] in rig.api.runs:
            rig.api.runs.remove(runs[0])
        return found

    rig.api._page = redriven_meanwhile  # type: ignore[method-assign]

    rig.tail.sweep()

    assert rig.counted() == 400


def test_a_run_that_leaves_the_list_hides_no_other_though_all_ended_in_one_instant(rig: Rig) -> None:
    now = datetime.now(UTC)
    runs = [rig.finished(end=now) for _ in range(700)]
    pages = rig.api._page

    def redriven_meanwhile(body: dict[str, Any]) -> list[dict[str, Any]]:
        found = pages(body)
        for run in found[:50]:
            rig.api.runs.remove(run)
        return found

    rig.api._page = redriven_meanwhile  # type: ignore[method-assign]

    rig.tail.sweep()

    assert rig.counted() == len(runs)


def test_what_ends_after_the_servers_clock_was_put_back_is_counted(rig: Rig) -> None:
    rig.api.ahead = timedelta(hours=1)
    rig.sample()
    rig.finished(end=datetime.now(UTC) + timedelta(hours=1) - SECOND)
    rig.sample()
    rig.api.ahead = timedelta(0)
    rig.sample()

    rig.finished()
    rig.tail.sweep()

    assert rig.counted() == 2


def test_an_end_that_was_committed_late_is_found_by_its_number(rig: Rig) -> None:
    rig.finished()
    rig.sample()
    cursor = rig.ledger.counts.cursor()
    assert cursor
    late = cursor - 60 * SECOND
    rig.finished(end=late)

    rig.tail.sweep()
    assert rig.counted() == 1, "the quick look does not reach that far"
    rig.sample()

    assert rig.counted() == 2


def test_an_end_that_was_committed_late_is_found_though_the_numbers_agree(rig: Rig) -> None:
    cursor = rig.ledger.counts.cursor()
    assert cursor
    gone = rig.finished(end=cursor - 30 * SECOND)
    rig.sample()
    rig.api.runs.remove(gone)
    rig.finished(end=cursor - 60 * SECOND)
    rig.tail.reconcile()
    assert rig.counted() == 1

    for _ in range(CERTAIN):
        rig.tail.reconcile()

    assert rig.counted() == 2


def test_an_end_in_the_future_does_not_hide_those_that_follow(rig: Rig) -> None:
    rig.finished(end=datetime.now(UTC) + timedelta(hours=2))
    rig.sample()

    rig.finished()
    rig.sample()

    assert rig.counted() == 2


def test_a_server_whose_clock_is_ahead_is_asked_by_its_own_clock(rig: Rig) -> None:
    rig.api.ahead = timedelta(minutes=10)
    due = datetime.now(UTC) + timedelta(minutes=9)
    rig.sample()
    rig.api.add("mail", "SCHEDULED", queue="high", due=due, run_count=0)
    rig.finished(end=datetime.now(UTC) + timedelta(minutes=10))

    rig.sample()

    said = rig.scraped()
    assert said["queue_jobs_waiting", "high"] == 1
    assert said["queue_oldest_waiting_seconds", "high"] == pytest.approx(60, abs=5)
    assert said["queue_exporter_clock_offset_seconds",] == pytest.approx(600, abs=2)
    assert rig.counted() == 1


def test_clocks_that_differ_by_a_second_count_as_equal(rig: Rig) -> None:
    rig.api.ahead = timedelta(seconds=1)

    rig.sample()

    assert rig.exporter.api.offset == timedelta(0)


def cut_off(rig: Rig, *, after: int) -> None:
    """Let the exporter die after so many pages."""
    counts, left = rig.tail._counts, [after]
    count = counts.count

    def dying(*args: Any, **more: Any) -> int:
        if not left[0]:
            raise RuntimeError("killed here")
        left[0] -= 1
        return count(*args, **more)

    counts.count = dying  # type: ignore[method-assign]
