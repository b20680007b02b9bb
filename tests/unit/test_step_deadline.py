"""Steps announce when they should be over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from redrive.blocks.process import step_deadline
from redrive.blocks.process.step_deadline import Deadline, announced


@pytest.fixture
def told() -> Iterator[list[Deadline]]:
    """What a listener hears."""
    heard: list[Deadline] = []
    step_deadline.listen(heard.append)
    yield heard
    step_deadline.listen(None)


def test_step_announces_its_beginning_and_its_end(told: list[Deadline]) -> None:
    before = time.monotonic()
    with announced("send", 5, tries=2):
        (began,) = told

    assert (began["step"], began["seconds"], began["tries"]) == ("send", 5, 2)
    assert before <= began["at"] <= time.monotonic()
    assert told[1:] == [{"number": began["number"], "over": True}]


def test_step_that_fails_announces_its_end(told: list[Deadline]) -> None:
    with pytest.raises(ValueError, match="broken"), announced("send", 5, tries=1):
        raise ValueError("broken")

    assert told[-1]["over"]


def test_step_without_timeout_announces_nothing(told: list[Deadline]) -> None:
    with announced("send", None, tries=1):
        pass

    assert told == []


def test_steps_side_by_side_are_distinguished(told: list[Deadline]) -> None:
    both = threading.Barrier(2)

    def step() -> None:
        with announced("send", 5, tries=1):
            both.wait(10)

    threads = [threading.Thread(target=step) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    began = [one["number"] for one in told if "step" in one]
    over = [one["number"] for one in told if one.get("over")]
    assert len(set(began)) == 2
    assert sorted(began) == sorted(over)


def test_end_goes_to_who_got_the_beginning(told: list[Deadline]) -> None:
    with announced("send", 5, tries=1):
        step_deadline.listen(None)

    assert [one.get("over", False) for one in told] == [False, True]


def test_nobody_listens_and_nothing_happens() -> None:
    with announced("send", 5, tries=1):
        pass
