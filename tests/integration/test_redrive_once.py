"""Redriving does nothing twice: one effect key for a job's whole life, and nobody is redriven who is at work meanwhile."""

from __future__ import annotations

from uuid import UUID

import pytest
from prefect.client.schemas.actions import ArtifactCreate

from redrive.blocks.core.errors import Conflict
from redrive.blocks.prefect.client import api
from redrive.deployments.dead_letters.failure_report import FailureReport
from redrive.deployments.dead_letters.ledger import DeadLetter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.infra.keeper.collecting import Collector
from tests.support.keeperless import Keeperless

SCHEDULED = "scheduled 2026-01-02T03:00:00"


def dead_letter(keeperless: Keeperless, run: UUID) -> DeadLetter:
    keeperless.set(run, "FAILED", message="it broke")
    Collector(keeperless.ledger).sweep()
    return keeperless.ledger.get(run)


@pytest.mark.parametrize("deleted", [False, True], ids=["run kept", "run deleted"])
@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"idempotency_key": SCHEDULED}, SCHEDULED),
        ({"labels": {"redrive.key": "invoice-7"}, "idempotency_key": "invoice-7"}, "invoice-7"),
        ({}, None),
    ],
    ids=["scheduled", "with a key", "without a key"],
)
def test_replacement_carries_the_effect_key_on(
    keeperless: Keeperless, body: dict[str, object], key: str | None, *, deleted: bool
) -> None:
    run = keeperless.run(keeperless.deployment("jobs"), **body)  # type: ignore[arg-type]
    dead_letter(keeperless, run)
    if deleted:
        keeperless.delete(run)

    first = redrive(keeperless.ledger, run, who="ada", parameters={"corrected": "once"}).run_id
    dead_letter(keeperless, first)
    second = redrive(keeperless.ledger, first, who="ada", parameters={"corrected": "twice"}).run_id

    assert {keeperless.read(one).effect_key for one in (first, second)} == {key or str(run)}


@pytest.mark.parametrize("edited", [None, {"corrected": "once"}], ids=["plain", "edited"])
@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "COMPLETED"])
def test_run_that_goes_on_meanwhile_is_not_redriven(
    keeperless: Keeperless, state: str, edited: dict[str, object] | None
) -> None:
    deployment = keeperless.deployment("jobs")
    run = keeperless.run(deployment)
    dead_letter(keeperless, run)
    keeperless.set(run, state)
    before = keeperless.ids(deployment)

    with pytest.raises(Conflict, match="not dead"):
        redrive(keeperless.ledger, run, who="ada", parameters=edited)

    assert keeperless.ids(deployment) == before
    assert keeperless.read(run).state_type == state
    assert keeperless.ledger.get(run).status == "open"


def test_report_of_the_failure_before_is_not_taken_for_this_one(keeperless: Keeperless) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "RUNNING")
    report = FailureReport(
        run_id=run, error_type="OldError", message="old", traceback="", step=None, reason="tries", tries=3
    )
    api().create_artifact(ArtifactCreate(type="markdown", data=report.as_comment(), flow_run_id=run))
    first = dead_letter(keeperless, run)

    redrive(keeperless.ledger, run, who="ada")
    keeperless.set(run, "PENDING")
    keeperless.set(run, "RUNNING")
    second = dead_letter(keeperless, run)

    assert (first.error_type, first.message) == ("OldError", "old")
    assert (second.error_type, second.message) == ("Failed", "it broke")
