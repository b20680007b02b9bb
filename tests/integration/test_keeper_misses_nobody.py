"""The ledger misses nobody: a failure gets its row however late, however odd, and whoever caused it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.actions import ArtifactCreate

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.dead_letters.failure_report import FailureReport
from redrive.infra.keeper import auditing, collecting
from redrive.infra.keeper.auditing import Auditor
from redrive.infra.keeper.collecting import CURSOR, Collector
from redrive.infra.keeper.recovery import Recovery
from redrive.infra.keeper.rescue import Rescuer
from tests.support.keeperless import Keeperless
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 20
#: Labels that nobody foresaw.
ODD: dict[str, Any] = {
    "redrive.tries": "many", "redrive.crashes": "some", "redrive.first_failure": "soon", "redrive.hard_timeout": "never",
    "redrive.first_start": "2026-01-01T00:00:00", "redrive.retries": 10**12, "redrive.redriven_at": "x" * 5_000,
}  # fmt: skip


def outage_passed(keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector's tail is beyond everything that happened up to now, and no overlap reaches back to it."""
    monkeypatch.setattr(collecting, "OVERLAP", timedelta(0))
    monkeypatch.setattr(collecting, "WIDE_OVERLAP", timedelta(0))
    keeperless.ledger.set_cursor(CURSOR, datetime.now(UTC).isoformat())


def rescued(keeperless: Keeperless, *expected: UUID) -> None:
    rescuer = Rescuer(settings(), keeperless.ledger)
    done: set[UUID] = set()

    def all_are() -> bool:
        done.update(one.run_id for one in rescuer.sweep(now=time.monotonic()))
        return done >= set(expected)

    wait_until(all_are, PATIENCE, f"{expected} to be rescued")


def test_job_that_the_rescue_gives_up_has_its_row_at_once(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "CRASHED", message="Flow run process exited with status code: -9")
    crashed = keeperless.read(run)
    outage_passed(keeperless, monkeypatch)

    rescued(keeperless, run)

    dead = keeperless.read(run)
    (row,) = keeperless.ledger.find().rows
    # Prefect keeps the end of the crash, which no tail reads any more.
    assert dead.end_time == crashed.end_time
    assert (row.run_id, row.dead_state_id, row.reason, row.crashes) == (run, dead.state_id, "crash", 1)
    assert Collector(keeperless.ledger).sweep(wide=True) == []


@pytest.mark.parametrize("kind", ["FAILED", "CRASHED"])
def test_audit_finds_what_the_tail_had_passed(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(auditing, "TAIL_GRACE", timedelta(0))
    monkeypatch.setattr(auditing, "RESCUE_GRACE", timedelta(0))
    deployment = keeperless.deployment("jobs")
    run, cancelled = keeperless.run(deployment), keeperless.run(deployment)
    keeperless.set(run, kind)
    keeperless.set(cancelled, "CANCELLED", message="by a person")
    outage_passed(keeperless, monkeypatch)
    collected = Collector(keeperless.ledger).sweep(wide=True)
    audit = Auditor(keeperless.ledger).sweep

    found = audit()

    assert collected == []
    assert [one.run_id for one in found] == [run]
    assert keeperless.ledger.audit().found == 1
    assert audit() == []
    assert keeperless.ledger.audit().found == 1


def test_audit_leaves_to_the_rescue_what_crashed_in_an_outage(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "RESCUE_GRACE", timedelta(seconds=1))
    monkeypatch.setattr(auditing, "OUTAGE", 1.0)
    run = keeperless.run(keeperless.deployment("jobs"))
    auditor = Auditor(keeperless.ledger)
    keeperless.set(run, "CRASHED")
    wait_until(lambda: SERVER_CLOCK.has_passed(timedelta(seconds=2), since=keeperless.read(run).since), 10, "an outage")

    assert run not in {one.run_id for one in auditor.sweep()}
    wait_until(lambda: run in {one.run_id for one in auditor.sweep()}, 10, "the audit to find what the rescue left")


def test_failure_after_the_servers_clock_was_put_back_is_collected(keeperless: Keeperless) -> None:
    keeperless.ledger.set_cursor(CURSOR, (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "FAILED")

    Collector(keeperless.ledger).sweep()

    assert set(keeperless.rows()) == {run}


def test_audit_goes_round_a_few_pages_at_a_time(keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "TAIL_GRACE", timedelta(0))
    monkeypatch.setattr(auditing, "PAGES", 1)
    monkeypatch.setattr(auditing, "PAGE", 2)
    deployment = keeperless.deployment("jobs")
    made = [keeperless.run(deployment) for _ in range(5)]
    for run in made:
        keeperless.set(run, "FAILED")

    # What other tests left on this server comes first in the round.
    sweeps = [len(Auditor(keeperless.ledger).sweep())]
    while sum(sweeps) < len(made) and len(sweeps) < 500:
        sweeps.append(len(Auditor(keeperless.ledger).sweep()))

    assert set(keeperless.rows()) == set(made)
    assert max(sweeps) <= 2
    assert len(Auditor(keeperless.ledger).sweep()) == 0


def sweep_collector(keeperless: Keeperless, *_: UUID) -> None:
    Collector(keeperless.ledger).sweep()


@pytest.mark.parametrize(
    ("kind", "sweep"), [("FAILED", sweep_collector), ("CRASHED", rescued)], ids=["collect", "rescue"]
)
def test_record_nobody_foresaw_gets_its_row_and_hides_no_other(
    keeperless: Keeperless, kind: str, sweep: Callable[..., None]
) -> None:
    deployment = keeperless.deployment("jobs")
    odd, plain = keeperless.run(deployment, labels=ODD), keeperless.run(deployment)
    for run in (odd, plain):
        keeperless.set(run, kind)

    sweep(keeperless, odd, plain)

    assert set(keeperless.rows()) == {odd, plain}


def test_run_that_cannot_be_read_at_all_hides_no_other(keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = keeperless.deployment("jobs")
    odd, plain = keeperless.run(deployment), keeperless.run(deployment)
    for run in (odd, plain):
        keeperless.set(run, "FAILED")
    read = Run.of

    def fault(raw: Mapping[str, Any], *, job: str) -> Run:
        if raw["id"] == str(odd):
            raise KeyError("nobody foresaw this")
        return read(raw, job=job)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "of", fault)
        Collector(keeperless.ledger).sweep()

    assert set(keeperless.rows()) == {plain}
    # Its turn comes with the next release, however late that is.
    monkeypatch.setattr(auditing, "TAIL_GRACE", timedelta(0))
    Auditor(keeperless.ledger).sweep()
    assert set(keeperless.rows()) == {odd, plain}


def test_report_that_cannot_be_read_leaves_what_the_state_says(keeperless: Keeperless) -> None:
    deployment = keeperless.deployment("jobs")
    odd, plain = keeperless.run(deployment), keeperless.run(deployment)
    report: Any = {
        "run_id": odd,
        "error_type": 5,
        "message": ["?"],
        "traceback": 1,
        "step": {},
        "reason": 0,
        "tries": "",
    }
    comment = FailureReport(**report).as_comment()
    api().create_artifact(ArtifactCreate(type="markdown", data=comment, flow_run_id=odd))
    for run in (odd, plain):
        keeperless.set(run, "FAILED", message="it broke")

    Collector(keeperless.ledger).sweep()

    assert keeperless.rows() == {odd: "Failed", plain: "Failed"}


def test_runs_of_other_teams_on_the_same_server_are_none_of_ours(keeperless: Keeperless) -> None:
    deployment = keeperless.deployment("their-pool", flow="theirs")
    failed, crashed = keeperless.run(deployment), keeperless.run(deployment)
    keeperless.set(failed, "FAILED")
    keeperless.set(crashed, "CRASHED")
    ours = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(ours, "CRASHED")

    Collector(keeperless.ledger).sweep()
    rescued(keeperless, ours)

    assert set(keeperless.rows()) == {ours}
    assert keeperless.read(crashed).state_type == "CRASHED"


def test_crashed_housekeeping_is_started_again_and_gets_no_row(keeperless: Keeperless) -> None:
    run = keeperless.run(keeperless.deployment("ops", flow="dead-letter-review"))
    keeperless.set(run, "CRASHED")

    rescued(keeperless, run)

    assert keeperless.read(run).state_name == "AwaitingRetry"
    assert keeperless.rows() == {}


def test_death_that_nobody_can_explain_has_nothing_of_the_one_before(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"redrive.reason": "permanent", "redrive.error": "OldError", "redrive.error_message": "old"}
    run = keeperless.run(keeperless.deployment("jobs"), labels=before)
    keeperless.set(run, "CRASHED")

    def fault(*_: object) -> None:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(Recovery, "after_crash", fault)
    rescued(keeperless, run)

    (row,) = keeperless.ledger.find().rows
    assert (row.reason, row.error_type) == ("crash", "Crashed")
    assert "the keeper could not rescue it" in row.message
