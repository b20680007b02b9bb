"""Editing a job's code, or losing a process that waited for work, costs no job an attempt."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.plain_prefect import PATIENCE, Json, PlainPrefect, PlainWorker
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

#: Edits in a row, each followed at once by a job.
EDITS = 10
ONE_START = ["Scheduled", "Pending", "Running", "Completed"]


def test_edit_under_load_costs_no_job_an_attempt(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool)
    folder = plain_prefect.folder("edits")
    load: list[str] = []
    before = 'VERSION = "old"'
    # With notes of its jobs' processes, as in a stack.
    with plain_prefect.working(pool, limit=4, REDRIVE_HOME=str(folder)):
        runs = []
        for number in range(EDITS):
            load += plain_prefect.bulk(deployment, [_job(folder, "load", seconds=0.3) for _ in range(4)])
            after = f'VERSION = "v{number}"'
            plain_prefect.edit(before, after)
            before = after
            runs.append(plain_prefect.begin(deployment, folder=str(folder), name=f"job-{number}"))
            plain_prefect.end_of(runs[-1])
        plain_prefect.edit(before, 'VERSION = "old"')
        for run_id in load:
            plain_prefect.end_of(run_id)

    for run_id in [*runs, *load]:
        assert [state["name"] for state in plain_prefect.states(run_id)] == ONE_START
        assert plain_prefect.run(run_id)["run_count"] == 1
    for number in range(EDITS):
        (line,) = (folder / f"job-{number}").read_text().splitlines()
        assert json.loads(line)["value"] == f"v{number}", "a job ran older code than what was saved before it"


def test_child_killed_while_idle_costs_no_job_an_attempt(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool)
    folder = plain_prefect.folder("idle-kills")
    runs = []
    with plain_prefect.working(pool, limit=2, REDRIVE_HOME=str(folder)) as worker:
        for number in range(EDITS):
            wait_until(lambda: len(_idle(worker)) == 2, PATIENCE, "two idle children")
            for pid in _idle(worker):
                os.kill(pid, signal.SIGKILL)
            runs.append(plain_prefect.begin(deployment, folder=str(folder), name=f"job-{number}"))
            plain_prefect.end_of(runs[-1])

    for run_id in runs:
        assert [state["name"] for state in plain_prefect.states(run_id)] == ONE_START


def _job(folder: Path, name: str, *, seconds: float) -> Json:
    return {"parameters": {"folder": str(folder), "name": name, "seconds": seconds}}


def _idle(worker: PlainWorker) -> list[int]:
    """Children that wait for work; they say so in their name."""
    return [one.pid for one in worker.below() if _comm(one.pid) == "warm-idle"]


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
