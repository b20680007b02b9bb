"""Redriving does nothing twice: one effect key for a job's whole life, and nobody is redriven who is at work meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.actions import ArtifactCreate

from redrive.blocks.core.errors import Conflict
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_state import start_again
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.dead_letters import redrive as redriving
from redrive.deployments.dead_letters.failure_report import FailureReport
from redrive.deployments.dead_letters.ledger import DeadLetter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.infra.keeper.collecting import Collector
from tests.support.keeperless import Keeperless
from tests.support.prefect_client import api

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


@pytest.mark.parametrize("when", ["before the new run is made", "after it was made, with a worker that waits"])
def test_retry_pressed_in_the_middle_of_an_edited_redrive_is_the_only_start(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    deployment = keeperless.deployment("jobs")
    run = keeperless.run(deployment)
    dead_letter(keeperless, run)
    really_enqueue = redriving.enqueue_many

    def retry_was_pressed(*args: Any, **kwargs: Any) -> Any:
        if when.startswith("before"):
            keeperless.set(run, "SCHEDULED", "AwaitingRetry")
        accepted = really_enqueue(*args, **kwargs)
        if when.startswith("after"):
            keeperless.set(run, "SCHEDULED", "AwaitingRetry")
            for due in ask(requests.due("jobs", before=SERVER_CLOCK.now(), queues=[], limit=10)):
                keeperless.set(UUID(due["flow_run"]["id"]), "PENDING")
        return accepted

    with monkeypatch.context() as patched:
        patched.setattr(redriving, "enqueue_many", retry_was_pressed)
        with pytest.raises(Conflict, match="meanwhile"):
            redrive(keeperless.ledger, run, who="ada", parameters={"corrected": "once"})

    assert keeperless.ids(deployment) == {run}
    assert keeperless.read(run).labels.replaced_by is None
    assert keeperless.ledger.get(run).status == "open"
    # Dead once more, it can be asked for again.
    dead_letter(keeperless, run)
    again = redrive(keeperless.ledger, run, who="ada", parameters={"corrected": "once"}).run_id
    assert keeperless.ids(deployment) == {run, again}


def test_replacement_is_due_at_once(keeperless: Keeperless) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    dead_letter(keeperless, run)

    new = redrive(keeperless.ledger, run, who="ada", parameters={"corrected": "once"}).run_id

    due = keeperless.read(new).scheduled
    assert due is not None
    assert due <= datetime.now(UTC)


def test_run_that_another_worker_has_by_now_keeps_its_signature(keeperless: Keeperless) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "FAILED")
    dead = keeperless.read(run)
    keeperless.set(run, "PENDING")
    keeperless.label(run, prefect__worker__name="the-next", redrive__attempt="its-claim")

    with pytest.raises(Conflict, match="meanwhile"):
        start_again(
            run, state_id=dead.state_id, at=datetime.now(UTC), told=datetime.now(UTC), message="", retrying=False
        )

    labels = keeperless.read(run).labels
    assert (labels.worker, labels.attempt) == ("the-next", "its-claim")


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
