"""Answers that are shared for a moment: read once, shown a little longer while they are read anew, forgotten by who changed them."""

from __future__ import annotations

import threading

import pytest

from redrive.blocks.core.errors import ApiUnavailable, LedgerUnavailable
from redrive.dashboards.console.live.memo import GRACE, Memo
from redrive.dashboards.console.live.outage import Outages
from redrive.dashboards.console.live.visit import Visit
from tests.support.waiting import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_answer_is_read_once_as_long_as_it_is_fresh():
    clock = Clock()
    memo, reads = Memo(clock), iter(range(9))

    assert [memo.get("a", 5, lambda: next(reads)) for _ in range(3)] == [0, 0, 0]
    clock.now += 5
    assert memo.get("a", 5, lambda: next(reads)) == 1
    memo.forget("a")
    assert memo.get("a", 5, lambda: next(reads)) == 2


def test_what_no_act_changes_is_not_forgotten_with_all_the_rest():
    memo, reads = Memo(lasting=["names"]), iter(range(9))
    assert [memo.get(key, 60, lambda: next(reads)) for key in ("names", "rows")] == [0, 1]

    memo.forget()

    assert [memo.get(key, 60, lambda: next(reads)) for key in ("names", "rows")] == [0, 2]


def test_old_answer_is_given_while_a_new_one_is_read_and_not_when_it_is_too_old():
    clock, may_read = Clock(), threading.Event()
    memo, reads = Memo(clock), iter(range(9))

    def slowly() -> int:
        may_read.wait(30)
        return next(reads)

    assert memo.get("a", 5, lambda: next(reads), stale=60) == 0
    clock.now += 6
    assert [memo.get("a", 5, slowly, stale=60) for _ in range(3)] == [0, 0, 0]
    may_read.set()
    wait_until(lambda: memo.get("a", 5, slowly, stale=60) == 1, 30, "the new answer")
    clock.now += 60
    assert memo.get("a", 5, slowly, stale=60) == 2


def test_person_waits_once_for_all_of_a_page():
    clock, may_read = Clock(), threading.Event()
    memo = Memo(clock)
    for key in "ab":
        memo.get(key, 5, lambda: "old", stale=60)
    clock.now += 6
    visit = Visit(memo, clock)

    def slowly() -> str:
        may_read.wait(30)
        return "new"

    assert visit.left == pytest.approx(GRACE)
    clock.now += GRACE
    assert [visit.get(key, 5, slowly, stale=60) for key in "ab"] == ["old", "old"]
    assert visit.left == 0
    may_read.set()
    # Who comes next has what was read meanwhile.
    wait_until(lambda: [Visit(memo, clock).get(key, 5, slowly, stale=60) for key in "ab"] == ["new", "new"], 30, "it")


def test_what_cannot_be_read_anew_is_reported_to_who_asks_when_the_old_answer_is_too_old():
    clock = Clock()
    memo = Memo(clock)

    def away() -> int:
        raise ApiUnavailable("Prefect's API is away")

    assert memo.get("a", 5, lambda: 7, stale=60) == 7
    clock.now += 6
    assert memo.get("a", 5, away, stale=60) == 7
    clock.now += 60
    with pytest.raises(ApiUnavailable):
        memo.get("a", 5, away, stale=60)


def test_answer_that_was_being_read_when_somebody_changed_it_is_not_kept():
    clock, may_read = Clock(), threading.Event()
    memo = Memo(clock)

    def before_the_change() -> str:
        may_read.wait(30)
        return "old"

    memo.get("a", 5, lambda: "old", stale=60)
    clock.now += 6
    memo.get("a", 5, before_the_change, stale=60)
    memo.forget("a")
    may_read.set()

    assert memo.get("a", 5, lambda: "new", stale=60) == "new"


def test_what_was_read_last_is_shown_while_nothing_can_be_read_also_after_an_act_and_the_page_is_told():
    clock, outages, tries = Clock(), Outages(), list[str]()
    memo = Memo(clock)
    memo.get("a", 5, lambda: "known")
    memo.forget()
    clock.now += 3600

    def away() -> str:
        tries.append("asked")
        raise LedgerUnavailable("the ledger's database does not answer")

    visit = Visit(memo, clock, outages=outages)
    assert [visit.get("a", 5, away), visit.get("a", 5, away)] == ["known", "known"]

    assert tries == ["asked"], "who does not answer is asked once in a visit"
    (outage,) = outages.all
    assert (outage.title, outage.said) == ("The ledger is unavailable", "the ledger's database does not answer")
    assert outages.known == outage.known
    assert outage.known is not None
    assert (outage.since - outage.known).total_seconds() == pytest.approx(3600, abs=60)
    # And as soon as it answers again, nothing of this is left.
    assert Visit(memo, clock, outages=(fresh := Outages())).get("a", 5, lambda: "new") == "new"
    assert fresh.all == []
    assert memo.unavailable_since is None


def test_page_is_told_of_an_answer_that_will_still_do_but_is_old_because_nothing_answers():
    clock, outages = Clock(), Outages()
    memo = Memo(clock)
    memo.get("a", 5, lambda: "known")
    memo.failed(ApiUnavailable("no answer"))
    assert Visit(memo, clock, outages=outages).get("a", 5, lambda: "new", stale=60) == "known"
    assert outages.all == [], "it is fresh"
    clock.now += 6

    def away() -> str:
        raise ApiUnavailable

    assert Visit(memo, clock, outages=outages).get("a", 5, away, stale=60) == "known"
    assert [one.title for one in outages.all] == ["Prefect's API is unavailable"]


def test_what_was_never_read_and_what_a_page_that_is_open_asks_for_is_an_error_while_nothing_can_be_read():
    clock, outages = Clock(), Outages()
    memo = Memo(clock)
    memo.get("a", 5, lambda: "known")
    clock.now += 60

    def away() -> str:
        raise ApiUnavailable

    with pytest.raises(ApiUnavailable):
        Visit(memo, clock, outages=outages).get("b", 5, away)
    with pytest.raises(ApiUnavailable):
        Visit(memo, clock).get("a", 5, away)
    assert outages.all == []


def test_page_is_as_old_as_the_oldest_of_what_it_shows():
    clock, outages = Clock(), Outages()
    memo = Memo(clock)
    memo.get("old", 5, lambda: 1)
    clock.now += 500
    memo.get("newer", 5, lambda: 2)
    clock.now += 100

    def away() -> int:
        raise ApiUnavailable

    visit = Visit(memo, clock, outages=outages)
    assert [visit.get(key, 5, away) for key in ("newer", "old", "newer")] == [2, 1, 2]
    assert outages.known == outages.all[0].known
    assert outages.known is not None
    assert abs((outages.known - memo.read_at("old")).total_seconds()) < 1
