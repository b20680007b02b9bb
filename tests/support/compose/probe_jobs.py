"""The job type of the test of infra/compose: notes when each execution begins and ends.

A begin without an end is an execution that was killed; the kernel frees its lock then, so two at once say so.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from redrive import job, step

FOLDER = Path("/effects")


@step
def note(name: str, seconds: float) -> str:
    with (FOLDER / f"lock.{name}").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (FOLDER / f"overlap.{name}").touch()
        begun = time.time()
        time.sleep(seconds)
        with (FOLDER / name).open("a") as file:
            file.write(f"{begun} {time.time()} {os.uname().nodename}\n")
    return name


@job(max_tries=3, backoff=[1], max_crashes=10, retry_until=None)
def probe(name: str, seconds: float = 0.3) -> None:
    """Notes one execution."""
    note(name, seconds)
