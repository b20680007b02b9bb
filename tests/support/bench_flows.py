"""The same small work for every contestant of the worker benchmark: a flow with one task, and a plain function for RQ."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import flow, task


@task
def add_one(number: int) -> int:
    """The one task."""
    return number + 1


@flow(name="bench-one-task")
def one_task(number: int = 1, told: str = "") -> int:
    """Notes when it began, if asked to, and runs its task."""
    began(told)
    return add_one(number)


def began(told: str) -> None:
    """Write the time into a file, one line a start."""
    if told:
        with Path(told).open("a") as file:
            file.write(f"{time.time()}\n")
