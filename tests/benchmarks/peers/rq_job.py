"""RQ's side of the worker benchmark; runs in RQ's own environment, so it imports nothing of ours."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def one_task(number: int = 1, told: str = "") -> int:
    """The same work as tests/support/bench_flows.py."""
    if told:
        with Path(told).open("a") as file:
            file.write(f"{time.time()}\n")
    return number + 1


def enqueue(count: int, told: str, job: str) -> None:
    """Put `count` jobs into the queue; prints the time after each."""
    from redis import Redis
    from rq import Queue

    queue = Queue(connection=Redis.from_url(os.environ["PEER_URL"]))
    for number in range(count):
        queue.enqueue(job, number, told)
        print(time.time(), flush=True)


if __name__ == "__main__":
    enqueue(int(sys.argv[1]), sys.argv[2], sys.argv[3])
