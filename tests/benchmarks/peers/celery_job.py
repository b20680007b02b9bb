"""Celery's side of the worker benchmark; runs in Celery's own environment, so it imports nothing of ours."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from celery import Celery  # type: ignore[import-not-found]  # in its own environment

app = Celery("celery_job", broker=os.environ["PEER_URL"])
app.conf.task_ignore_result = True


@app.task(name="one_task")  # type: ignore[untyped-decorator]  # as above
def one_task(number: int = 1, told: str = "") -> int:
    """The same work as tests/support/bench_flows.py."""
    if told:
        with Path(told).open("a") as file:
            file.write(f"{time.time()}\n")
    return number + 1


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        one_task.delay(number, sys.argv[2])
        print(time.time(), flush=True)
