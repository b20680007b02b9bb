"""Bulk discards, pruning, and the sums over many acts."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from redrive.blocks.core.errors import Conflict
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger, Outcome
from tests.support.deaths import a_death, varied
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
