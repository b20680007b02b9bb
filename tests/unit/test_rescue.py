"""Which jobs are lost: decided by what is known of the worker, of the job's own process, and of how long either was silent."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.labels import Labels
from redrive.blocks.prefect.run import Run
from redrive.blocks.process.identity import ProcessIdentity
from redrive.deployments.pools import Workers
from redrive.infra.keeper.auditing import _is_overdue
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


@pytest.mark.parametrize("alive", [True, False], ids=["worker lives", "worker is gone"])
@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_job_whose_process_lives_is_not_lost(lost: Lost, tmp_path: Path, *, alive: bool, state: str) -> None:
    run = a_run(state_type=state)
    note(tmp_path, alive=alive)
    silent(lost, run, 10 * LEASE)

    assert lost.cause(run, JobProcesses({run.id: [1]})) is None


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_job_that_is_gone_with_its_worker_is_lost_at_once(lost: Lost, tmp_path: Path, state: str) -> None:
    note(tmp_path, alive=False)
    run = a_run(state_type=state)
    run = replace(run, labels=Labels.of(signed(run)))

    cause = lost.cause(run, JobProcesses({}))

    assert cause == f"worker {WORKER} was killed, and so was the job's process"


def test_job_retried_in_prefect_is_not_lost_for_the_worker_it_had_before(lost: Lost, tmp_path: Path) -> None:
    note(tmp_path, alive=False)
    before = a_run()
    # Another worker has claimed it just now and not signed yet.
    claimed = replace(before, state_id=uuid4(), state_type="PENDING", labels=Labels.of(signed(before)))
    silent(lost, claimed, LEASE - EVERY)

    assert lost.cause(claimed, JobProcesses({})) is None

    silent(lost, claimed, 2 * LEASE)
    assert lost.cause(claimed, JobProcesses({})) is not None


def test_signature_of_a_plain_worker_counts_once_it_stood_for_a_moment(lost: Lost, tmp_path: Path) -> None:
    note(tmp_path, alive=False)
    run = a_run(state_type="PENDING")

    silent(lost, run, 0)
    assert lost.cause(run, JobProcesses({})) is None

    silent(lost, run, EVERY)
    assert lost.cause(run, JobProcesses({})) is not None


@pytest.mark.parametrize(("seconds", "is_lost"), [(LEASE - EVERY, False), (LEASE, True)])
def test_job_of_another_host_is_lost_when_its_worker_was_silent_for_the_lease(
    lost: Lost, seconds: float, *, is_lost: bool
) -> None:
    run = a_run()
    silent(lost, run, seconds)

    cause = lost.cause(run, JobProcesses({}))

    assert cause == (f"worker {WORKER} is silent for {LEASE:g} s" if is_lost else None)


@pytest.mark.parametrize(
    ("given", "is_lost"),
    [
        ({"state_type": "RUNNING"}, False),
        ({"state_type": "CANCELLING"}, False),
        # Its pod may start any time.
        ({"state_type": "PENDING", "pid": "cluster:default:pod-1"}, False),
        ({"state_type": "PENDING"}, True),
    ],
    ids=["running", "cancelling", "submitted", "never submitted"],
)
def test_job_that_outlives_its_worker_is_not_lost_with_it(
    lost: Lost, tmp_path: Path, given: dict[str, Any], *, is_lost: bool
) -> None:
    note(tmp_path, alive=False)
    run = a_run(**given)
    silent(lost, run, 10 * LEASE, pool_type="kubernetes")

    assert (lost.cause(run, JobProcesses({})) is not None) is is_lost


@pytest.mark.parametrize(
    ("given", "is_lost"),
    [
        ({"state_type": "PENDING", "labels": {}}, True),
        ({"labels": {"prefect.worker.name": ""}}, True),
        # Started by hand, without a worker.
        ({"labels": {}}, False),
        ({"state_type": "CANCELLING", "labels": {}}, True),
    ],
    ids=["pending", "about to wait", "by hand", "cancelled before its worker signed"],
)
def test_job_without_a_worker_is_lost_when_a_worker_had_begun_with_it(
    lost: Lost, given: dict[str, Any], *, is_lost: bool
) -> None:
    run = a_run(**given)
    silent(lost, run, LEASE)

    assert (lost.cause(run, JobProcesses({})) is not None) is is_lost


def test_an_outage_longer_than_the_lease_makes_nobody_lost(lost: Lost) -> None:
    run = a_run()
    silent(lost, run, EVERY)
    outage = 2 * LEASE

    lost.missed()
    # Back again: for as long as it was away nobody need have found back yet.
    for passed in range(0, int(outage), int(EVERY)):
        lost.sample([run], JobProcesses({}), Workers({WORKER: "10:00"}, {"jobs": "warm"}), now=EVERY + outage + passed)

    assert lost.cause(run, JobProcesses({})) is None


def test_helpers_of_a_job_whose_process_and_worker_are_gone_are_left_over_after_the_lease(
    lost: Lost, tmp_path: Path
) -> None:
    note(tmp_path, alive=False)
    run = a_run()
    helpers = JobProcesses({run.id: [1]}, without_leader=frozenset({run.id}))

    _sample(lost, run, helpers, LEASE - EVERY)
    assert not lost.left_over(run, helpers)

    _sample(lost, run, helpers, 2 * LEASE)
    assert lost.left_over(run, helpers)


@pytest.mark.parametrize("signed", [True, False])
def test_helpers_of_a_job_that_is_to_be_cancelled_hold_it_no_longer_than_the_lease(
    lost: Lost, tmp_path: Path, *, signed: bool
) -> None:
    note(tmp_path, alive=False)
    run = a_run(state_type="CANCELLING", **({} if signed else {"labels": {}}))
    helpers = JobProcesses({run.id: [1]}, without_leader=frozenset({run.id}))

    _sample(lost, run, helpers, LEASE - EVERY)
    # Nobody is left to tell the job of a dead worker; what nobody signed may be another worker's in the next moment.
    assert lost.left_over(run, helpers) is signed
    assert lost.cause(run, helpers) is None

    _sample(lost, run, helpers, 2 * LEASE)
    assert lost.left_over(run, helpers)
    # Once they were ended, its cancellation is finished.
    assert lost.cause(run, JobProcesses({})) is not None


def test_processes_of_a_job_that_lives_are_never_left_over(lost: Lost, tmp_path: Path) -> None:
    note(tmp_path, alive=False)
    run = a_run()
    processes = JobProcesses({run.id: [1, 2]}, leaders=frozenset({1}))

    _sample(lost, run, processes, 10 * LEASE)

    assert not lost.left_over(run, processes)


def test_lease_is_stretched_for_a_worker_whose_heartbeats_are_far_apart(
    lost: Lost, caplog: pytest.LogCaptureFixture
) -> None:
    run = a_run()
    workers = Workers({WORKER: "10:00"}, {"jobs": "warm"}, {WORKER: LEASE})

    now = 0.0
    while now <= 2 * LEASE:
        lost.sample([run], JobProcesses({}), workers, now=now)
        now += EVERY
        assert lost.cause(run, JobProcesses({})) is None
    # Said once, with the setting to change.
    (said,) = caplog.messages
    assert f"its lease is {3 * LEASE:g} s instead of REDRIVE_RETRY_AFTER={LEASE:g}" in said
    assert "PREFECT_WORKER_HEARTBEAT_SECONDS" in said

    while now <= 3 * LEASE + EVERY:
        lost.sample([run], JobProcesses({}), workers, now=now)
        now += EVERY
    assert lost.cause(run, JobProcesses({})) is not None


def _sample(lost: Lost, run: Run, processes: JobProcesses, seconds: float) -> None:
    now = 0.0
    while now <= seconds:
        lost.sample([run], processes, Workers({WORKER: "10:00"}, {"jobs": "warm"}), now=now)
        now += EVERY


@pytest.mark.parametrize("kind", ["FAILED", "CRASHED"])
@pytest.mark.parametrize(
    ("since", "overdue"), [(timedelta(0), False), (-timedelta(hours=1), True), (timedelta(hours=1), True)]
)
def test_audit_waits_for_no_end_that_lies_in_the_future(kind: str, since: timedelta, *, overdue: bool) -> None:
    assert _is_overdue(a_run(state_type=kind, since=datetime.now(UTC) + since), timedelta(hours=1)) is overdue
