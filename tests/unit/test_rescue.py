"""Which jobs are lost: decided by what is known of the worker, of the job's own process, and of how long either was silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.process_identity import ProcessIdentity
from redrive.blocks.settings import Settings
from redrive.deployments.endings import Spent
from redrive.deployments.ledger import Ledger
from redrive.flows.keeper.processes import JobProcesses
from redrive.flows.keeper.runs import Run
from redrive.flows.rescue import Rescuer

LEASE = 90.0
WORKER = "host-1"
#: Looks at the API are that far apart.
EVERY = 5.0


@pytest.fixture
def rescuer(tmp_path: Path) -> Rescuer:
    settings = Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_RETRY_AFTER": str(LEASE)})
    return Rescuer(settings, Ledger(f"sqlite:///{tmp_path}/ledger.db"))


def a_run(**given: Any) -> Run:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid4(), "name": "happy-owl", "job": "mail", "flow_id": uuid4(), "deployment_id": uuid4(), "queue": "default",
        "pool": "jobs", "state_id": uuid4(), "state_type": "RUNNING", "state_name": "Running", "message": "", "since": now,
        "end_time": None, "scheduled": None, "parameters": {}, "tags": (), "labels": {"prefect.worker.name": WORKER},
        "pid": None, "retry_type": None, "spent": Spent(),
    }  # fmt: skip
    return Run(**{**values, **given})


def note(folder: Path, *, alive: bool) -> None:
    """Say that the stack started the worker here: as this process, or as one that is gone."""
    me = ProcessIdentity.of()
    (folder / "run" / "workers").mkdir(parents=True)
    noted = me if alive else replace(me, started=me.started - 1)
    (folder / "run" / "workers" / WORKER).write_text(json.dumps(noted.note()))


def silent(rescuer: Rescuer, run: Run, seconds: float) -> None:
    """Nothing changes for so long, while the API answers every look."""
    now = 0.0
    while now <= seconds:
        rescuer._workers.look({WORKER: "10:00"}, now=now, longest_gap=LEASE / 2)
        rescuer._stuck.look({str(run.id): run.state_id}, now=now, longest_gap=LEASE / 2)
        now += EVERY


@pytest.mark.parametrize("alive", [True, False], ids=["worker lives", "worker is gone"])
@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_job_whose_process_lives_is_not_lost(rescuer: Rescuer, tmp_path: Path, *, alive: bool, state: str) -> None:
    run = a_run(state_type=state)
    note(tmp_path, alive=alive)
    silent(rescuer, run, 10 * LEASE)

    assert rescuer._lost(run, JobProcesses({run.id: [1]})) is None


def test_job_that_is_gone_with_its_worker_is_lost_at_once(rescuer: Rescuer, tmp_path: Path) -> None:
    note(tmp_path, alive=False)

    cause = rescuer._lost(a_run(), JobProcesses({}))

    assert cause == f"worker {WORKER} was killed, and so was the job's process"


@pytest.mark.parametrize(("seconds", "lost"), [(LEASE - EVERY, False), (LEASE, True)])
def test_job_of_another_host_is_lost_when_its_worker_was_silent_for_the_lease(
    rescuer: Rescuer, seconds: float, *, lost: bool
) -> None:
    run = a_run()
    silent(rescuer, run, seconds)

    cause = rescuer._lost(run, JobProcesses({}))

    assert cause == (f"worker {WORKER} is silent for {LEASE:g} s" if lost else None)


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"state_type": "PENDING", "labels": {}}, True),
        ({"labels": {"prefect.worker.name": ""}}, True),
        # Started by hand, without a worker.
        ({"labels": {}}, False),
    ],
    ids=["pending", "about to wait", "by hand"],
)
def test_job_without_a_worker_is_lost_when_a_worker_had_begun_with_it(
    rescuer: Rescuer, given: dict[str, Any], *, lost: bool
) -> None:
    run = a_run(**given)
    silent(rescuer, run, LEASE)

    assert (rescuer._lost(run, JobProcesses({})) is not None) is lost


def test_an_outage_longer_than_the_lease_makes_nobody_lost(rescuer: Rescuer) -> None:
    run = a_run()
    silent(rescuer, run, EVERY)
    look: Callable[[float], None] = lambda now: rescuer._workers.look({WORKER: "10:00"}, now=now, longest_gap=LEASE / 2)  # noqa: E731
    outage = 2 * LEASE

    rescuer.missed()
    # Back again: for as long as it was away nobody need have found back yet.
    for passed in range(0, int(outage), int(EVERY)):
        look(EVERY + outage + passed)

    assert rescuer._lost(run, JobProcesses({})) is None
