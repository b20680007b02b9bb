"""A bulk act that was cut off goes on where it stopped, says in the history how far it is, and takes nothing that came later."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from prefect.logging import disable_run_logger

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.deployments.dead_letters import redrive as redriving
from redrive.deployments.dead_letters import redrive_many
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.dead_letters.redrive_many import redrive_all
from redrive.flows.dead_letter_review import Decision, carry_out
from redrive.infra.keeper.collecting import Collector
from tests.support.keeperless import Keeperless

OPEN = Filter(status="open")


def dead(keeperless: Keeperless, count: int, message: str = "it broke") -> list[UUID]:
    deployment = keeperless.deployment("jobs")
    made = [keeperless.run(deployment) for _ in range(count)]
    for run in made:
        keeperless.set(run, "FAILED", message=message)
    Collector(keeperless.ledger).sweep()
    return made


def states(keeperless: Keeperless, run_ids: list[UUID]) -> set[str]:
    return {keeperless.read(run).state_type for run in run_ids}


def test_bulk_redrive_that_was_cut_off_goes_on(keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive_many, "AT_ONCE", 1)
    made, batch = dead(keeperless, 4), uuid4()
    ledger = keeperless.ledger

    def kill(done: int, _of: int) -> bool:
        if done == 1:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        redrive_all(ledger, OPEN, who="ada", batch=batch, progress=kill)
    # As if it had been killed between claiming a row and starting its run.
    (claimed, *_) = ledger.find(OPEN).rows
    ledger.claim_for_redrive(claimed.id, who="ada", batch=batch)
    cut_off = ledger.batches()

    done = redrive_all(ledger, OPEN, who="ada", batch=batch)

    assert [(act.what, act.why) for act in cut_off] == [("redriven", "(1 of 4 done, 3 remain)")]
    assert done.redriven == 4
    assert states(keeperless, made) == {"SCHEDULED"}
    assert [(act.what, act.count, act.why) for act in ledger.batches()] == [("redriven", 4, "")]
    assert {row.redrives for row in ledger.find(Filter(batch=batch)).rows} == {1}


def test_bulk_redrive_that_fails_says_what_remains(keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch) -> None:
    dead(keeperless, 3)
    ledger, again = keeperless.ledger, redriving.start_same_run
    monkeypatch.setattr(redrive_many, "AT_ONCE", 1)

    def breaking(row: object, *arguments: object, **named: object) -> object:
        if ledger.count(OPEN) == 1:
            raise LedgerUnavailable("gone in the middle")
        return again(row, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(redriving, "start_same_run", breaking)

    with pytest.raises(LedgerUnavailable):
        redrive_all(ledger, OPEN, who="ada", why="fixed")

    (act,) = ledger.batches()
    assert (act.count, act.why) == (1, "fixed (1 of 3 done, 2 remain)")


@pytest.mark.parametrize("act", ["redrive", "discard"])
def test_review_decides_about_the_rows_it_showed(keeperless: Keeperless, act: str) -> None:
    shown = dead(keeperless, 2, "it broke")
    ledger: Ledger = keeperless.ledger
    causes, until = tuple(group.fingerprint for group in ledger.groups(OPEN)), ledger.newest_open()
    later = dead(keeperless, 1, "it broke") + dead(keeperless, 1, "something else broke")

    with disable_run_logger():
        done = carry_out.fn(Decision(who="ada", act=act), causes, until, uuid4())

    assert done == 2
    assert {row.run_id for row in ledger.find(OPEN).rows} == set(later)
    assert {row.run_id for row in ledger.find().rows if row.status != "open"} == set(shown)


@pytest.mark.parametrize("act", ["redrive", "discard"])
def test_review_leaves_causes_that_had_no_room_in_its_table(keeperless: Keeperless, act: str) -> None:
    shown = dead(keeperless, 2, "it broke")
    ledger = keeperless.ledger
    (cause,) = (group.fingerprint for group in ledger.groups(OPEN))
    unseen = dead(keeperless, 1, "something else broke")

    with disable_run_logger():
        done = carry_out.fn(Decision(who="ada", act=act), (cause,), ledger.newest_open(), uuid4())

    assert done == len(shown)
    assert [row.run_id for row in ledger.find(OPEN).rows] == unseen


@pytest.mark.parametrize("act", ["redrive", "discard"])
def test_decision_that_was_carried_out_is_not_carried_out_twice(keeperless: Keeperless, act: str) -> None:
    dead(keeperless, 2)
    ledger, batch = keeperless.ledger, uuid4()
    causes, until = tuple(group.fingerprint for group in ledger.groups(OPEN)), ledger.newest_open()
    decision = Decision(who="ada", act=act)

    with disable_run_logger():
        done = [carry_out.fn(decision, causes, until, batch) for _ in range(2)]

    assert done == [2, 2]
    assert [one.count for one in ledger.batches()] == [2]
    assert len(ledger.find(Filter(batch=batch)).rows) == 2
