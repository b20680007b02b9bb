"""What is remembered holds for its time, and no more is kept than may be."""

from __future__ import annotations

from redrive.blocks.core.remembered import Remembered


def test_value_is_fresh_for_its_time_and_known_for_longer() -> None:
    long, short = Remembered[str, int](60), Remembered[str, int](0)
    for one in (long, short):
        one.keep("a", 1)

    assert long.fresh("a", None) == 1
    assert short.fresh("a", None) is None
    assert short.whatever_age("a", None) == 1


def test_nothing_is_a_value_too() -> None:
    kept = Remembered[str, int | None](60)
    kept.keep("gone", None)

    assert kept.fresh("gone", "never asked") is None
    assert kept.fresh("other", "never asked") == "never asked"


def test_the_one_that_was_kept_first_is_forgotten_first() -> None:
    kept = Remembered[int, int](60, most=2)
    for key in (1, 2, 1, 3):
        kept.keep(key, key)

    assert [kept.fresh(key, None) for key in (1, 2, 3)] == [1, None, 3]


def test_what_was_forgotten_is_not_known() -> None:
    kept = Remembered[str, int](60)
    kept.keep("a", 1)
    kept.keep("b", 2)

    kept.forget("a")
    kept.forget("never there")
    assert kept.whatever_age("a", None) is None
    assert kept.fresh("b", None) == 2

    kept.clear()
    assert kept.whatever_age("b", None) is None
