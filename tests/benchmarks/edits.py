"""What an edit of a job's code costs the next job: save, enqueue at once, wait for its end; beside the same without an edit, under load."""

from __future__ import annotations

import statistics
import time
from typing import Any

from tests.support.plain_prefect import PlainPrefect, running_prefect

ROUNDS = 20
SLOTS = 4
#: Jobs that keep the slots busy beside each measured one, and how long each works, in seconds.
LOAD, WORK = 3, 0.5


def measure() -> dict[str, Any]:
    """Seconds from enqueue to end with and without an edit right before, `ROUNDS` of each in turn; prints the largest cost."""
    with running_prefect() as prefect:
        pool = prefect.pool()
        deployment = prefect.deploy("quick", pool)
        folder = str(prefect.folder("edits"))
        with prefect.working(pool, limit=SLOTS, REDRIVE_HOME=folder):
            prefect.end_of(prefect.begin(deployment, folder=folder))
            plain, edited, version = [], [], "old"
            for number in range(ROUNDS):
                plain.append(_seconds(prefect, deployment, folder))
                prefect.edit(f'VERSION = "{version}"', f'VERSION = "v{number}"')
                version = f"v{number}"
                edited.append(_seconds(prefect, deployment, folder))
    cost = max(edited) - statistics.median(plain)
    print(f"   without an edit p50 {statistics.median(plain):.2f} s, most {max(plain):.2f} s")
    print(
        f"   after an edit   p50 {statistics.median(edited):.2f} s, most {max(edited):.2f} s: costs {cost:.2f} s at most"
    )
    return {"plain": plain, "edited": edited, "cost": cost}


def _seconds(prefect: PlainPrefect, deployment: str, folder: str) -> float:
    load = [{"parameters": {"folder": folder, "name": "load", "seconds": WORK}} for _ in range(LOAD)]
    beside = prefect.bulk(deployment, load)
    began = time.monotonic()
    prefect.end_of(prefect.begin(deployment, folder=folder))
    took = time.monotonic() - began
    for run_id in beside:
        prefect.end_of(run_id)
    return took
