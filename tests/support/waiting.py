"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two questions: the first, the longest, and their share of the time waited so far. A question costs the server
#: that is asked some ten milliseconds, and a suite asks for hours.
FIRST, LONGEST, SHARE = 0.05, 0.5, 0.05


def wait_until(predicate: Callable[[], T], timeout: float = 30, what: str = "") -> T:
    """Return the first true answer of `predicate`; fail with what was waited for after `timeout` seconds."""
    began = time.monotonic()
    while not (answer := predicate()):
        waited = time.monotonic() - began
        if waited > timeout:
            raise AssertionError(f"waited {timeout:g} s for {what or predicate}; last answer {answer!r}")
        time.sleep(min(LONGEST, max(FIRST, SHARE * waited)))
    return answer
