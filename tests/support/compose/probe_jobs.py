"""The job type of the test of infra/compose: notes when each execution begins and ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

from redrive import job, step

FOLDER = Path("/effects")


@step
def note(number: int, seconds: float) -> int:
    with (FOLDER / str(number)).open("a") as file:
        begun = time.time()
        time.sleep(seconds)
        file.write(f"{begun} {time.time()} {os.uname().nodename}\n")
    return number


@job(max_tries=3, backoff=[1], max_crashes=10, retry_until=None)
def probe(number: int, seconds: float = 0.3) -> None:
    """Notes one execution."""
    note(number, seconds)
