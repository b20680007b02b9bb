"""Which jobs keep a profile by themselves: the slow ones of types that enough is known of, and so many an hour."""

from __future__ import annotations

from redrive.blocks.process.job_figures import MEGABYTE, Counting
from redrive.infra.worker.slow_jobs import ENOUGH, HOUR, LEAST, ProfileBudget, limits


def counted(job: str, *seconds: float) -> Counting:
    counting = Counting()
    for one in seconds:
        counting.attempt(job, seconds=one, memory=MEGABYTE, steps={"act": ({"60.0": 1}, 50.0)})
    return counting


def test_a_job_is_slow_beyond_its_types_p99() -> None:
    found = limits(counted("sync", *[4.0] * 98, 50.0, 50.0).take())

    assert found.keys() == {"sync"}
    assert 5 < found["sync"] <= 60


def test_a_quick_type_has_no_slow_jobs_below_a_second() -> None:
    assert limits(counted("mail", *[0.01] * ENOUGH).take()) == {"mail": LEAST}


def test_of_too_few_attempts_nothing_is_known() -> None:
    assert limits(counted("sync", *[4.0] * (ENOUGH - 1)).take()) == {}


def test_no_more_profiles_are_made_in_an_hour_than_were_asked_for() -> None:
    now = 10_000.0
    budget = ProfileBudget(2, lambda: now)
    budget.spend()
    now += 60
    assert budget.is_left()
    budget.spend()
    now += HOUR - 61

    assert not budget.is_left()
    # The first one is an hour ago.
    now += 2
    assert budget.is_left()
    budget.spend()
    # The second one is not.
    assert not budget.is_left()


def test_of_no_profiles_none_is_left() -> None:
    assert not ProfileBudget(0).is_left()
