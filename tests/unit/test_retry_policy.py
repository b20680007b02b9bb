"""The retry policy as a value: what it refuses, what it draws, what it tells Prefect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.blocks.core.errors import PermanentError, PolicyError
from redrive.blocks.core.retry import RetryPolicy, exponential


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_tries": 0}, "max_tries=0 cannot work: give 1"),
        ({"backoff": [-1]}, "delays are seconds, 0 or more"),
        ({"backoff": []}, "give at least one delay"),
        ({"backoff": [float("inf")]}, "delays are seconds"),
        ({"jitter": 2}, "give 0 (none) to 1"),
        ({"timeout": 0}, "give seconds greater than 0"),
        ({"retry_until": 1, "backoff": [5]}, "shorter than the first delay of 5 s"),
        ({"max_crashes": -1}, "give 0 or more"),
        ({"hold_slot": -0.1}, "give 0 or more"),
        ({"tries": 3}, "a retry policy has no 'tries'"),
        ({"max_trys": 5}, "a retry policy has no 'max_trys'; did you mean 'max_tries'?"),
        ({"colour": 5}, "a retry policy has no 'colour'; it has max_tries, backoff"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_impossible_policy_is_refused_with_what_to_change(values: dict[str, object], says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        RetryPolicy(**values)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_exponential_refuses_a_shrinking_factor() -> None:
    with pytest.raises(PolicyError, match="factor"):
        exponential(factor=0.5)


def test_last_delay_of_a_list_repeats() -> None:
    policy = RetryPolicy(max_tries=6, backoff=[1, 5, 10])

    assert [policy.base_delay(n) for n in range(1, 6)] == [1, 5, 10, 10, 10]


def test_exponential_grows_to_its_cap() -> None:
    policy = RetryPolicy(max_tries=9, backoff=exponential(2, 4, 300))

    assert [policy.base_delay(n) for n in range(1, 7)] == [2, 8, 32, 128, 300, 300]


def test_a_thousand_exponential_tries_do_not_overflow() -> None:
    assert RetryPolicy(max_tries=1000, backoff=exponential(1, 10, 60)).base_delay(999) == 60


@pytest.mark.parametrize(("draw", "share"), [(0, 0.8), (0.5, 1), (1, 1.2)])
def test_jitter_goes_as_far_down_as_up(draw: float, share: float) -> None:
    policy = RetryPolicy(backoff=[10], jitter=0.2)

    assert policy.delay(1, draw) == pytest.approx(10 * share)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 20), st.floats(0, 1))
def test_jitter_keeps_a_delay_within_its_bounds(draw: float, failed: int, jitter: float) -> None:
    policy = RetryPolicy(jitter=jitter)
    base = policy.base_delay(failed)

    assert base * (1 - jitter) - 1e-9 <= policy.delay(failed, draw) <= base * (1 + jitter) + 1e-9


def test_task_options_are_what_the_policy_says() -> None:
    assert RetryPolicy(max_tries=4, backoff=[1, 5], jitter=0, timeout=None).task_options() == {
        "retries": 3,
        "retry_delay_seconds": [1, 5, 5],
        "retry_jitter_factor": None,
        "timeout_seconds": None,
    }


def test_task_options_after_spent_tries_hold_only_what_remains() -> None:
    options = RetryPolicy(max_tries=4, backoff=[1, 5, 10]).task_options(spent=2)

    assert (options["retries"], options["retry_delay_seconds"]) == (1, [10])


def test_spent_policy_leaves_one_execution() -> None:
    assert RetryPolicy(max_tries=3).task_options(spent=5)["retries"] == 0


class _OrderRejected(ValueError):
    pass


@pytest.mark.parametrize(
    ("never_on", "error", "permanent"),
    [
        ((), PermanentError("no such file"), True),
        ((), ValueError("bad"), False),
        ((ValueError,), _OrderRejected("bad"), True),
        (("ValueError",), _OrderRejected("bad"), True),
        (("builtins.ValueError",), ValueError("bad"), True),
        (("KeyError",), ValueError("bad"), False),
    ],
)
def test_permanent_errors_are_those_named_and_their_kinds(
    never_on: tuple[object, ...], error: Exception, permanent: bool
) -> None:
    assert RetryPolicy(never_on=never_on).is_permanent(error) is permanent


def test_deadline_counts_from_the_first_start() -> None:
    policy = RetryPolicy(retry_until=60)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert not policy.past_deadline(first_start=start, at=start + timedelta(seconds=60))
    assert policy.past_deadline(first_start=start, at=start + timedelta(seconds=61))


def test_no_deadline_is_never_past() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert not RetryPolicy(retry_until=None).past_deadline(first_start=start, at=start + timedelta(days=365))
