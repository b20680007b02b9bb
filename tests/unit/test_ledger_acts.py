"""Acts: each is recorded, each happens once, and who comes second is told who was first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger, Outcome
from tests.support.deaths import a_death, an_id


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.migrate()
        yield ledger


@pytest.fixture
def row(ledger: Ledger) -> DeadLetter:
    death = a_death()
    ledger.record(death)
    return ledger.get(death.run_id)


def test_claim_says_who_when_and_why(ledger: Ledger, row: DeadLetter):
    batch = uuid4()

    claimed = ledger.claim_for_redrive(row.id, who=" ann ", why="server is back", batch=batch)

    assert claimed == ledger.get(row.id)
    assert (claimed.status, claimed.redriven_by, claimed.redriven_why, claimed.redrives, claimed.batch_id) == (
        "redriven", "ann", "server is back", 1, batch,
    )  # fmt: skip
    act = ledger.history(row.id)[-1]
    assert (act.what, act.who, act.why, act.batch_id, act.state_id) == (
        "redriven",
        "ann",
        "server is back",
        batch,
        row.dead_state_id,
    )
    assert list(ledger.find(Filter(batch=batch)).rows) == [claimed]


def test_second_claim_learns_who_was_first(ledger: Ledger, row: DeadLetter):
    ledger.claim_for_redrive(row.id, who="ann")

    with pytest.raises(Conflict, match=r"redriven by ann at \d{4}-"):
        ledger.claim_for_redrive(row.id, who="bob")


@pytest.mark.parametrize("closed", ["resolved", "discarded"])
def test_closed_row_cannot_be_redriven(ledger: Ledger, row: DeadLetter, closed: str):
    if closed == "resolved":
        ledger.resolve(row.run_id)
    else:
        ledger.discard(row.id, who="ann")

    with pytest.raises(Conflict, match=closed):
        ledger.claim_for_redrive(row.id, who="bob")


def test_acts_on_a_row_that_is_gone_say_so(ledger: Ledger):
    gone = uuid4()

    for act in (ledger.claim_for_redrive, ledger.discard, ledger.reopen):
        with pytest.raises(NotFound, match="no dead letter"):
            act(gone, who="ann")
    with pytest.raises(NotFound):
        ledger.unclaim(gone, who="ann", why="")
    with pytest.raises(NotFound):
        ledger.link_replacement(gone, uuid4())


def test_act_without_a_person_is_refused(ledger: Ledger, row: DeadLetter):
    with pytest.raises(ParameterError, match="say who"):
        ledger.discard(row.id, who="  ")


def test_unclaimed_row_is_open_again_and_says_why(ledger: Ledger, row: DeadLetter):
    ledger.claim_for_redrive(row.id, who="ann")

    back = ledger.unclaim(row.id, who="ann", why="Prefect is away")

    assert (back.status, back.redrives) == ("open", 0)
    assert ledger.history(row.id)[-1].why == "Prefect is away"
    with pytest.raises(Conflict):
        ledger.unclaim(row.id, who="ann", why="again")


def test_claim_with_a_new_run_cannot_be_given_back(ledger: Ledger, row: DeadLetter):
    ledger.claim_for_redrive(row.id, who="ann")
    ledger.link_replacement(row.run_id, uuid4())

    with pytest.raises(Conflict, match="as run"):
        ledger.unclaim(row.id, who="ann", why="")


def test_completed_run_resolves_its_row_once(ledger: Ledger, row: DeadLetter):
    ledger.claim_for_redrive(row.id, who="ann")

    assert [one.status for one in ledger.resolve(row.run_id)] == ["resolved"]
    assert ledger.resolve(row.run_id) == []
    assert ledger.resolve(uuid4()) == []
    assert ledger.get(row.id).closed_at is not None


def test_completed_replacement_resolves_every_run_it_stands_for(ledger: Ledger, row: DeadLetter):
    second, third = an_id(), an_id()
    ledger.claim_for_redrive(row.id, who="ann")
    ledger.link_replacement(row.run_id, second)
    died = ledger.record(a_death(run_id=second, after=5))
    assert died.id
    ledger.claim_for_redrive(died.id, who="ann")
    ledger.link_replacement(second, third)

    resolved = ledger.resolve(third)

    assert {one.run_id for one in resolved} == {row.run_id, second}
    assert ledger.get(second).replaces_run_id == row.run_id
    assert ledger.get(row.run_id).replaced_by_run_id == second


def test_replacement_that_died_before_it_was_linked_is_linked_both_ways(ledger: Ledger, row: DeadLetter):
    second = an_id()
    ledger.claim_for_redrive(row.id, who="ann")
    ledger.record(a_death(run_id=second))

    ledger.link_replacement(row.run_id, second)

    assert ledger.get(second).replaces_run_id == row.run_id


def test_only_redriven_rows_without_a_known_outcome_are_watched(ledger: Ledger):
    rows = [ledger.get(one.run_id) for one in ledger.record_all([a_death(after=n) for n in range(3)])]
    waiting, replaced, dead_again = rows
    for row in rows:
        ledger.claim_for_redrive(row.id, who="ann")
    new_run, lost_run = an_id(), an_id()
    ledger.link_replacement(replaced.run_id, new_run)
    ledger.link_replacement(dead_again.run_id, lost_run)
    ledger.record(a_death(run_id=lost_run, after=9))

    assert [one.outcome_run_id for one in ledger.redriven().rows] == [waiting.run_id, new_run]
    first = ledger.redriven(limit=1)
    assert [one.outcome_run_id for one in ledger.redriven(limit=1, cursor=first.next).rows] == [new_run]


def test_discarded_replacement_discards_what_it_stands_for(ledger: Ledger, row: DeadLetter):
    second = an_id()
    ledger.claim_for_redrive(row.id, who="ann")
    ledger.link_replacement(row.run_id, second)
    died = ledger.record(a_death(run_id=second, after=5))
    assert died.id

    ledger.discard(died.id, who="ann", why="hopeless")

    assert ledger.get(row.id).status == "discarded"
    assert ledger.get(row.id).closed_why == "hopeless"


def test_redriven_row_is_discarded_only_when_asked_for(ledger: Ledger, row: DeadLetter):
    ledger.claim_for_redrive(row.id, who="ann")

    with pytest.raises(Conflict):
        ledger.discard(row.id, who="bob")
    assert ledger.discard(row.id, who="bob", also_redriven=True).status == "discarded"


def test_discarded_row_can_be_reopened_by_a_person_and_by_a_new_death(ledger: Ledger, row: DeadLetter):
    ledger.discard(row.id, who="ann")
    assert ledger.reopen(row.id, who="bob", why="was wrong").closed_at is None
    with pytest.raises(Conflict):
        ledger.reopen(row.id, who="bob")
    ledger.discard(row.id, who="ann")

    assert ledger.record(a_death(run_id=row.run_id, after=9)).outcome is Outcome.REOPENED
    assert ledger.get(row.id).status == "open"
