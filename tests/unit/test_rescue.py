"""Which jobs are lost: decided by what is known of the worker, of the job's own process, and of how long either was silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.prefect.labels import Labels
from redrive.deployments.pools import Workers
from redrive.infra.keeper.auditing import _is_overdue
from redrive.infra.keeper.lost import Lost
from redrive.infra.keeper.processes import JobProcesses
from tests.support.lost_jobs import EVERY, LEASE, WORKER, a_run, note, signed, silent


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


def test_job_whose_worker_lives_and_does_not_report_its_end_is_lost_after_the_lease(lost: Lost, tmp_path: Path) -> None:
    note(tmp_path, alive=True)
    run, now = a_run(), 0.0

    while now < LEASE:
        lost.sample([run], JobProcesses({}), Workers({WORKER: f"beat {now:g}"}, {"jobs": "warm"}), now=now)
        assert lost.cause(run, JobProcesses({})) is None
        now += EVERY
    lost.sample([run], JobProcesses({}), Workers({WORKER: f"beat {now:g}"}, {"jobs": "warm"}), now=now)

    cause = lost.cause(run, JobProcesses({}))
    assert cause == f"its process is gone for {LEASE:g} s, and worker {WORKER} did not report how it ended"


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


def test_time_in_which_the_api_did_not_answer_is_no_silence(lost: Lost) -> None:
    run = a_run()
    silent(lost, run, LEASE - EVERY)

    lost.missed()
    lost.sample([run], JobProcesses({}), Workers({WORKER: "10:00"}, {"jobs": "warm"}), now=LEASE + EVERY)

    assert lost.cause(run, JobProcesses({})) is None


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


@pytest.mark.parametrize("kind", ["FAILED", "CRASHED"])
@pytest.mark.parametrize(
    ("since", "overdue"), [(timedelta(0), False), (-timedelta(hours=1), True), (timedelta(hours=1), True)]
)
def test_audit_waits_for_no_end_that_lies_in_the_future(kind: str, since: timedelta, *, overdue: bool) -> None:
    assert _is_overdue(a_run(state_type=kind, since=datetime.now(UTC) + since), timedelta(hours=1)) is overdue
