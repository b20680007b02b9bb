"""Pruning deletes what is settled, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.run import Run
from redrive.flows import prune as pruning
from redrive.infra.keeper.collecting import Collector
from tests.support.keeperless import Keeperless


def prune(keeperless: Keeperless) -> int:
    """Everything up to now is old."""
    del keeperless
    return pruning.prune_runs.fn(datetime.now(UTC) + timedelta(seconds=1))


def there(*run_ids: UUID) -> list[bool]:
    found = runs.by_id(run_ids)
    return [run_id in found for run_id in run_ids]


def test_only_settled_runs_of_our_pools_are_deleted(keeperless: Keeperless) -> None:
    deployment, theirs = keeperless.deployment("jobs"), keeperless.deployment("their-pool", flow="theirs")
    completed, cancelled, lost = (keeperless.run(deployment) for _ in range(3))
    settled, open_, uncollected, crashed = (keeperless.run(deployment) for _ in range(4))
    foreign = keeperless.run(theirs)
    for run, kind in ((completed, "COMPLETED"), (cancelled, "CANCELLED"), (settled, "FAILED"), (open_, "FAILED")):
        keeperless.set(run, kind)
    Collector(keeperless.ledger).sweep()
    keeperless.ledger.discard(keeperless.ledger.get(settled).id, who="ada")
    for run, kind in ((uncollected, "FAILED"), (crashed, "CRASHED"), (foreign, "COMPLETED")):
        keeperless.set(run, kind)
    keeperless.set(lost, "CANCELLED", message="Deployment 7 no longer exists")

    deleted = prune(keeperless)

    assert deleted == 3
    assert there(completed, cancelled, settled) == [False, False, False]
    assert there(open_, uncollected, crashed, lost, foreign) == [True] * 5


def test_run_that_is_retried_meanwhile_is_not_deleted(keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = keeperless.deployment("jobs")
    retried, completed = keeperless.run(deployment), keeperless.run(deployment)
    for run in (retried, completed):
        keeperless.set(run, "COMPLETED")
    judged = pruning._settled

    def slowly(ledger: pruning.Ledger, finished: list[Run]) -> list[UUID]:
        found = judged(ledger, finished)
        keeperless.set(retried, "SCHEDULED")
        return found

    monkeypatch.setattr(pruning, "_settled", slowly)

    deleted = prune(keeperless)

    assert deleted == 1
    assert there(retried, completed) == [True, False]


def test_run_that_ended_once_more_meanwhile_is_not_deleted(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "COMPLETED")
    ended = keeperless.read(run).end_time
    assert ended is not None
    judged = pruning._settled

    def slowly(ledger: pruning.Ledger, finished: list[Run]) -> list[UUID]:
        found = judged(ledger, finished)
        keeperless.set(run, "SCHEDULED")
        keeperless.set(run, "COMPLETED")
        return found

    monkeypatch.setattr(pruning, "_settled", slowly)

    pruning.prune_runs.fn(ended + timedelta(milliseconds=1))

    assert there(run) == [True]
