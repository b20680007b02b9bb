"""What an error came from is found however it came: raised from another one, while handling one, in a group."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redrive.flows.engine.causes_of import causes_of


def raised_from(first: Exception) -> Exception:
    error = RuntimeError("the job")
    error.__cause__ = first
    return error


def raised_while_handling(first: Exception) -> Exception:
    try:
        try:
            raise first
        except type(first):
            raise RuntimeError("the job")  # noqa: B904  (as a job does that says nothing of the first)
    except RuntimeError as error:
        return error


def raised_in_a_group(first: Exception) -> Exception:
    return ExceptionGroup("side by side", [ValueError("another"), first])


@pytest.mark.parametrize("raised", [raised_from, raised_while_handling, raised_in_a_group])
def test_error_of_a_step_is_found_in_what_the_job_raised(raised: Callable[[Exception], Exception]) -> None:
    first = ConnectionError("the step")

    assert id(first) in set(causes_of(raised(raised_from(first))))
    assert id(first) not in set(causes_of(raised(ValueError("something else"))))


def test_errors_that_name_each_other_come_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one

    assert set(causes_of(one)) == {id(one), id(other)}
