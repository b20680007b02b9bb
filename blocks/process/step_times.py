"""How long the steps of the job took that this process runs: counted until its end, and handed over with it.

Danger: one job a process at a time. Steps of one job may run side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from redrive.blocks.core.histogram import Histogram

#: Upper bounds, seconds: steps may be quick, and a p99 is no better than its bucket.
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
#: Steps of one job that are told apart, and the characters of a step's name.
MOST: Final = 200
NAME: Final = 80

#: By name of the step: executions by bucket, and their seconds together.
StepTimes = dict[str, tuple[dict[str, float], float]]


class _Counted:
    """The steps of the job that this process runs; None while it runs none."""

    turn = threading.Lock()
    steps: dict[str, Histogram] | None = None


def begin() -> None:
    """A job begins: count its steps from now on. Nobody counts them in a process that never calls this."""
    _Counted.steps = {}


def end() -> StepTimes:
    """The job is over: what its steps took."""
    with _Counted.turn:
        counted, _Counted.steps = _Counted.steps or {}, None
    return {step: (one.buckets, one.sum) for step, one in counted.items()}


@contextmanager
def timed(step: str) -> Generator[None]:
    """Around one execution of a step, however it ends."""
    began = time.monotonic()
    try:
        yield
    finally:
        took = time.monotonic() - began
        with _Counted.turn:
            steps = _Counted.steps
            # A step that outlived its job belongs to none.
            if steps is not None and (step[:NAME] in steps or len(steps) < MOST):
                steps.setdefault(step[:NAME], Histogram(SECONDS)).observe(took)
