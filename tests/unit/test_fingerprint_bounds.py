"""A fingerprint is the same everywhere, exists for every text, and takes a bounded time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.blocks.core.fingerprint import fingerprint
from redrive.blocks.core.message_pattern import MESSAGE_LIMIT, PATTERN_LIMIT, normalise


def cause(
    message: str,
    *,
    error_type: str = "my.OrderError",
    job: str = "sync",
    traceback: str | None = None,
    step: str | None = None,
) -> str:
    return fingerprint(job=job, error_type=error_type, message=message, traceback=traceback, step=step)


def test_fingerprint_is_twelve_hex_digits_and_the_same_in_every_process():
    code = (
        "from redrive.blocks.core.fingerprint import fingerprint;"
        "print(fingerprint(job='a', error_type='E', message='order 5 is bad', traceback=None, step=None))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert seen == {cause("order 77 is bad", error_type="E", job="a")}
    assert all(len(one) == 12 and int(one, 16) >= 0 for one in seen)


@given(st.text(max_size=400))
def test_any_message_has_a_pattern_of_bounded_length(message: str):
    assert len(normalise(message)) <= PATTERN_LIMIT


@given(st.text(max_size=60))
def test_lone_surrogates_and_odd_text_have_a_fingerprint(message: str):
    assert len(cause(message + "\ud800\x00", traceback=message, error_type=message)) == 12


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "'",
        '"',
        "-",
        "a/",
        "/a",
        "a.",
        ":",
        "a-1",
        "[Errno ",
        "=(",
        "a@",
        "1:",
        "jan ",
        "'a ",
        "\\",
        "://",
        "a://",
    ],
)
def test_time_is_bounded_on_a_megabyte(unit: str):
    message = unit * (1_000_000 // len(unit))

    began = time.process_time()
    cause(message, error_type="ValueError", traceback=message)
    spent = time.process_time() - began

    # Quadratic time over the whole message would be minutes; the factor is for slow machines.
    assert spent < 5


def test_what_follows_the_limit_does_not_count():
    head = "row is bad " * (MESSAGE_LIMIT // 11)

    assert normalise(head + "one thing " * 100) == normalise(head + "something else " * 100)
