"""What pages that stay open cost: requests one after another with more than a second between, and who is first when many wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence

import pytest

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.prefect.calls import counted_calls, paced, sending
from redrive.dashboards.console.live.memo import Memo
from redrive.dashboards.console.live.pacer import APART, Pacer
from redrive.dashboards.console.live.refresher import Refresher
from redrive.dashboards.console.live.visit import LiveAnswers, NotYet
from tests.support.waiting import wait_until

#: Seconds between two requests here, where nobody has to wait for a real server.
SHORT = 0.004


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Log:
    """The requests as a server would log them."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.by: list[object] = []
        self._lock = threading.Lock()

    def send(self, who: object, times: int = 1) -> None:
        for _ in range(times):
            with sending(), self._lock:
                self.at.append(time.monotonic())
                self.by.append(who)


def send() -> None:
    with sending():
        pass


def again(refresher: Refresher, key: Hashable, read: Callable[[], None], *, serves_many: bool = False) -> None:
    """A page that stays open: as soon as it was read it is wanted again."""

    def reading() -> None:
        read()
        again(refresher, key, read, serves_many=serves_many)

    refresher.want(key, reading, serves_many=serves_many)


def test_requests_are_counted_and_wait_for_their_turn_where_they_are_sent():
    turns: list[int] = []
    with counted_calls() as outer:
        send()
        with counted_calls() as inner, paced(lambda: turns.append(1)):
            send()
            send()
    send()

    assert (outer.sent, inner.sent, len(turns)) == (3, 2, 2)


def test_requests_of_open_pages_are_more_than_a_second_apart():
    assert APART > 1


def test_fifty_pages_that_all_differ_send_no_two_requests_closer_than_that():
    log, refresher = Log(), Refresher(Pacer(SHORT))
    for number in range(50):
        again(refresher, number, lambda number=number: log.send(number, 1 + number % 8))
    with refresher.running():
        wait_until(lambda: set(range(50)) <= set(log.by), 60, "every page to be read")

    apart = [later - before for before, later in zip(log.at, log.at[1:], strict=False)]
    # A request is noted a moment after its turn came, the one before perhaps a longer moment.
    assert sorted(apart)[len(apart) // 20] >= SHORT * 0.9
    assert (len(log.at) - 1) * SHORT <= log.at[-1] - log.at[0] + SHORT


def test_reading_that_serves_many_is_not_kept_from_its_turn_by_those_that_serve_one():
    log, refresher = Log(), Refresher(Pacer(SHORT), urgent=0.0)
    for number in range(50):
        again(refresher, number, lambda number=number: log.send(number, 8))
    with refresher.running():
        wait_until(lambda: len(log.by) > 20, 60, "pages to be read")
        before = len(log.by)
        refresher.want("sample", lambda: log.send("sample"), serves_many=True)
        wait_until(lambda: "sample" in log.by, 60, "the sample to be read")

    # One may have had its turn, one may have been about to send.
    assert log.by.index("sample") - before <= 3


def test_reading_that_is_fresh_lets_those_that_wait_go_first():
    pacer = Pacer(SHORT)
    order: list[str] = []

    def at(name: str, level: int) -> threading.Thread:
        def take() -> None:
            pacer.take(lambda: level)
            order.append(name)

        thread = threading.Thread(target=take)
        thread.start()
        return thread

    pacer._next = time.monotonic() + 0.2
    threads = [at("fresh sample", 2), at("page", 1), at("old sample", 0)]
    for thread in threads:
        thread.join(30)

    assert order == ["old sample", "page", "fresh sample"]


def test_open_page_gets_what_there_is_and_a_new_answer_after_its_turn():
    clock = Clock()
    memo, refresher = Memo(clock), Refresher()
    live, answers = LiveAnswers(memo, refresher), iter(["first", "second"])

    with pytest.raises(NotYet):
        live.get("a", 3, lambda: next(answers))
    assert refresher.turn(serves_many=False)
    assert live.get("a", 3, lambda: next(answers)) == "first"
    assert not refresher.turn(serves_many=False)

    clock.now += 4
    assert live.get("a", 3, lambda: next(answers)) == "first"
    assert live.get("a", 3, lambda: next(answers)) == "first"
    assert refresher.turn(serves_many=False)
    assert live.get("a", 3, lambda: next(answers)) == "second"
    assert not refresher.turn(serves_many=False)


def test_answers_of_one_kind_are_read_together_and_what_is_gone_is_not_kept():
    memo, refresher, asked = Memo(Clock()), Refresher(), list[Sequence[Hashable]]()
    live = LiveAnswers(memo, refresher)

    def many(keys: Sequence[Hashable]) -> dict[Hashable, object]:
        asked.append(keys)
        return {key: f"of {key}" for key in keys if key != "gone"}

    def alone() -> str:
        raise AssertionError("read by itself")

    for key in ("a", "b", "gone"):
        with pytest.raises(NotYet):
            live.get(key, 3, alone, many=many)
    assert refresher.turn(serves_many=True)

    assert asked == [["a", "b", "gone"]]
    assert live.get("b", 3, alone, many=many) == "of b"
    with pytest.raises(NotYet):
        live.get("gone", 3, alone, many=many)


def test_what_was_read_together_before_somebody_changed_it_is_not_kept():
    memo, refresher = Memo(Clock()), Refresher()
    live = LiveAnswers(memo, refresher)

    def many(keys: Sequence[Hashable]) -> dict[Hashable, object]:
        memo.forget()
        return dict.fromkeys(keys, "of the moment before")

    with pytest.raises(NotYet):
        live.get("a", 3, lambda: "alone", many=many)
    refresher.turn(serves_many=True)

    assert memo.get("a", 3, lambda: "of now") == "of now"


def test_answer_that_no_longer_fits_is_shown_until_its_turn_and_never_to_who_opens_the_page():
    memo, refresher = Memo(Clock()), Refresher()
    live = LiveAnswers(memo, refresher)
    memo.keep("a", "of the state before")

    def fits(answer: str) -> bool:
        return answer == "of this state"

    assert live.get("a", 60, lambda: "of this state", fits=fits) == "of the state before"
    assert memo.get("a", 60, lambda: "of this state", fits=fits) == "of this state"
    assert live.get("a", 60, lambda: "of this state", fits=fits) == "of this state"


def test_reading_that_fails_ends_no_other():
    refresher, read = Refresher(), list[str]()

    def away() -> None:
        raise ApiUnavailable("Prefect's API is away")

    def broken() -> None:
        raise ZeroDivisionError

    refresher.want("away", away)
    refresher.want("broken", broken)
    refresher.want("good", lambda: read.append("good"))
    while refresher.turn(serves_many=False):
        pass

    assert read == ["good"]
