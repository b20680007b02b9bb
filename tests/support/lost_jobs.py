"""Runs, workers and processes for tests of what is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.labels import Labels
from redrive.blocks.prefect.run import Run
from redrive.blocks.process.identity import ProcessIdentity
from redrive.deployments.pools import Workers
from redrive.infra.keeper.lost import Lost
from redrive.infra.keeper.processes import JobProcesses

LEASE = 90.0

WORKER = "host-1"

#: Looks at the API are that far apart.
EVERY = 5.0


@pytest.fixture
def lost(tmp_path: Path) -> Lost:
    return Lost(Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_RETRY_AFTER": str(LEASE)}))


def a_run(**given: Any) -> Run:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid4(), "name": "happy-owl", "job": "mail", "flow_id": uuid4(), "deployment_id": uuid4(), "queue": "default",
        "pool": "jobs", "state_id": uuid4(), "state_type": "RUNNING", "state_name": "Running", "message": "", "since": now,
        "transition": None, "scheduled": None, "expected_start": now, "start_time": None, "end_time": None, "run_count": 1,
        "ran": 0.0, "parameters": {}, "tags": (), "labels": {"prefect.worker.name": WORKER}, "idempotency_key": None,
        "pid": None, "retry_type": None,
    }  # fmt: skip
    values |= given
    return Run(**{**values, "labels": Labels.of(values["labels"])})


def signed(run: Run) -> dict[str, str]:
    """The labels that a warm worker writes when it takes a run."""
    return {"prefect.worker.name": WORKER, "redrive.attempt": str(run.state_id)}


def note(folder: Path, *, alive: bool) -> None:
    """Say that the stack started the worker here: as this process, or as one that is gone."""
    me = ProcessIdentity.of()
    (folder / "run" / "workers").mkdir(parents=True)
    noted = me if alive else replace(me, started=me.started - 1)
    (folder / "run" / "workers" / WORKER).write_text(json.dumps(noted.note()))


def silent(lost: Lost, run: Run, seconds: float, *, pool_type: str = "warm") -> None:
    """Nothing changes for so long, while the API answers every time."""
    workers = Workers({WORKER: "10:00"}, {"jobs": pool_type})
    now = 0.0
    while now <= seconds:
        lost.sample([run], JobProcesses({}), workers, now=now)
        now += EVERY
