"""Acts: each is recorded, each happens once, and who comes second is told who was first."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger, Outcome
from tests.support.deaths import a_death, an_id, varied
from tests.support.ledger_sums import act_at_random, assert_sums_are_right


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


def test_second_claim_is_told_who_was_first(ledger: Ledger, row: DeadLetter):
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


def test_only_redriven_rows_without_a_known_fate_are_watched(ledger: Ledger):
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


def test_bulk_discard_takes_only_what_fits_and_records_how_many(ledger: Ledger):
    ledger.record_all(varied(1100))
    asked = Filter(job="job-a")
    expected, batch = ledger.count(asked), uuid4()
    other = ledger.groups(Filter(job="job-b"))

    done = ledger.discard_all(asked, who="ann", why="old", batch=batch)

    assert done == expected == ledger.count(Filter(job="job-a", status="discarded"))
    assert ledger.groups(Filter(job="job-b")) == other
    assert [(act.what, act.who, act.why, act.count, act.batch_id) for act in ledger.batches()] == [
        ("discarded", "ann", "old", expected, batch)
    ]
    assert_sums_are_right(ledger)


def test_bulk_discard_is_capped_and_stops_when_told(ledger: Ledger):
    ledger.record_all(varied(1600))

    assert ledger.discard_all(Filter(), who="ann", at_most=7) == 7
    assert ledger.discard_all(Filter(), who="ann", progress=lambda done: done < 1000) == 1000
    assert ledger.count(Filter(status="open")) == 593
    assert [act.count for act in ledger.batches()] == [1000, 7]


def test_bulk_discard_that_is_interrupted_says_how_far_it_came(ledger: Ledger):
    ledger.record_all(varied(600))

    def interrupted(_done: int) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.discard_all(Filter(), who="ann", progress=interrupted)

    assert [act.count for act in ledger.batches()] == [500] == [ledger.count(Filter(status="discarded"))]


def test_bulk_discard_of_nothing_records_nothing(ledger: Ledger):
    assert ledger.discard_all(Filter(job="nobody"), who="ann") == 0
    assert ledger.batches() == []


def test_prune_takes_closed_rows_only_and_remembers_their_deaths(ledger: Ledger):
    rows = [
        ledger.get(one.run_id)
        for one in ledger.record_all([a_death(after=n, message=f"cause {w}") for n, w in enumerate("abcd")])
    ]
    opened, redriven, resolved, discarded = rows
    ledger.claim_for_redrive(redriven.id, who="ann")
    ledger.resolve(resolved.run_id)
    ledger.discard(discarded.id, who="ann")

    assert ledger.prune(datetime.now(UTC) - timedelta(days=1)) == 0
    assert ledger.prune(datetime.now(UTC) + timedelta(days=1)) == 2

    assert {row.id for row in ledger.find().rows} == {opened.id, redriven.id}
    assert ledger.history(resolved.id) == []
    assert ledger.known([resolved.dead_state_id]) == {resolved.dead_state_id}
    again = ledger.record(a_death(run_id=resolved.run_id, dead_state_id=resolved.dead_state_id))
    assert (again.outcome, again.id) == (Outcome.KNOWN, None)
    assert_sums_are_right(ledger)


def test_group_outlives_its_pruned_sample(ledger: Ledger):
    older, newer = (ledger.get(one.run_id) for one in ledger.record_all([a_death(after=1), a_death(after=2)]))
    assert ledger.groups()[0].sample_id == newer.id
    ledger.discard(newer.id, who="ann")

    ledger.prune(datetime.now(UTC) + timedelta(days=1))

    assert ledger.groups()[0].sample_id == older.id


def test_row_that_dies_of_another_cause_changes_its_group(ledger: Ledger):
    death = a_death(message="cause a")
    ledger.record_all([death, a_death(message="cause a")])

    ledger.record(a_death(run_id=death.run_id, after=9, message="cause b"))

    assert {group.message: group.count for group in ledger.groups()} == {"cause a": 1, "cause b": 1}
    assert_sums_are_right(ledger)


def test_group_keeps_no_sample_that_died_of_another_cause_since(ledger: Ledger):
    older, newer = a_death(after=1, message="cause a"), a_death(after=2, message="cause a")
    ledger.record_all([older, newer])

    ledger.record(a_death(run_id=newer.run_id, after=9, message="cause b"))

    (group,) = [group for group in ledger.groups() if group.message == "cause a"]
    assert group.sample_id == ledger.get(older.run_id).id


def test_group_whose_last_row_died_of_another_cause_is_gone(ledger: Ledger):
    death = a_death(message="cause a")
    ledger.record(death)

    ledger.record(a_death(run_id=death.run_id, after=9, message="cause b"))

    assert [group.message for group in ledger.groups()] == ["cause b"]


@pytest.mark.parametrize("seed", range(5))
def test_sums_equal_a_recount_after_any_acts(ledger: Ledger, seed: int):
    draw = random.Random(seed)

    for _ in range(120):
        act_at_random(ledger, draw)

    assert_sums_are_right(ledger)


def test_recount_repairs_broken_sums(ledger: Ledger):
    ledger.record_all(varied(50))
    right = ledger.totals(), ledger.groups()
    with ledger._database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE dead_letter_tallies SET count = count + 5")
        connection.exec_driver_sql("DELETE FROM dead_letter_groups")
    assert ledger.totals() != right[0]

    assert ledger.recount() == len(right[1])

    assert (ledger.totals(), ledger.groups()) == right


def test_of_many_claims_at_once_one_wins(ledger: Ledger, row: DeadLetter):
    start = threading.Barrier(8)

    def claim(number: int) -> bool:
        start.wait()
        try:
            ledger.claim_for_redrive(row.id, who=f"operator {number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(8))) == [False] * 7 + [True]


def test_rescue_lock_lets_one_in_at_a_time_per_run(ledger: Ledger):
    run = uuid4()

    with ledger.rescue_lock(run), ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(_try_lock, ledger, run).result(), Conflict)
        assert pool.submit(_try_lock, ledger, uuid4()).result() is None
    assert _try_lock(ledger, run) is None


def _try_lock(ledger: Ledger, run: UUID) -> Conflict | None:
    try:
        with ledger.rescue_lock(run, wait=0.05):
            return None
    except Conflict as refused:
        return refused
