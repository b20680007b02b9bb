"""Recording and reading: one row per dead job, whatever is reported how often."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import QueuePool

from redrive.blocks.core.errors import NotFound
from redrive.deployments.dead_letters.ledger import Filter, Ledger, Outcome
from tests.support.deaths import START, a_death, an_id, varied


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.migrate()
        yield ledger


def test_death_is_a_row_with_all_it_reported(ledger: Ledger):
    death = a_death(
        tags=("a", "b"), traceback="Traceback", step="send", tries=3, crashes=1, worker="w-1", run_name="happy-owl",
        deployment_id=uuid4(), flow_id=uuid4(), flow_name="mail", first_failure=START - timedelta(seconds=6), reason="tries",
    )  # fmt: skip

    recorded = ledger.record(death)

    row = ledger.get(death.run_id)
    assert recorded.outcome is Outcome.NEW
    assert row.id == recorded.id
    counted_only = {"retries", "rescues", "since", "ran", "waited"}
    for name in set(type(death).model_fields) - {"replaces_run_id"} - counted_only:
        assert getattr(row, name) == getattr(death, name), name
    assert (row.status, row.deaths, row.redrives) == ("open", 1, 0)
    assert row.fingerprint == death.fingerprint() == recorded.fingerprint


def test_same_death_twice_is_known(ledger: Ledger):
    death = a_death()
    first = ledger.record(death)

    again = ledger.record(death)

    assert again.outcome is Outcome.KNOWN
    assert again.id == first.id
    assert ledger.count() == 1
    assert [act.what for act in ledger.history(ledger.get(death.run_id).id)] == ["dead-lettered"]


def test_history_of_an_older_ledger_reads_by_the_present_names(ledger: Ledger, tmp_path: Path):
    row_id = ledger.record(a_death()).id
    assert row_id
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database, database:
        changed = database.execute("UPDATE dead_letter_acts SET what = 'buried' WHERE what = 'dead-lettered'")
        assert changed.rowcount == 1

    assert [act.what for act in ledger.history(row_id)] == ["dead-lettered"]


def test_newer_death_of_a_run_reopens_its_row_with_its_history(ledger: Ledger):
    death = a_death()
    row_id = ledger.record(death).id
    assert row_id
    ledger.claim_for_redrive(row_id, who="ann", why="fixed")

    again = ledger.record(a_death(run_id=death.run_id, after=9, message="another thing", tries=2))

    row = ledger.get(row_id)
    assert again.outcome is Outcome.REOPENED
    assert (row.status, row.deaths, row.redrives, row.message, row.tries) == ("open", 2, 1, "another thing", 2)
    assert row.first_failure == START
    assert [(act.what, act.who) for act in ledger.history(row_id)] == [
        ("dead-lettered", "keeper"),
        ("redriven", "ann"),
        ("reopened", "keeper"),
    ]


def test_late_report_of_an_older_death_changes_nothing_and_is_known_from_then_on(ledger: Ledger):
    old, new = a_death(after=1), a_death(after=5, message="newest")
    old = old.model_copy(update={"run_id": new.run_id})
    ledger.record(new)

    assert ledger.record(old).outcome is Outcome.KNOWN
    assert ledger.get(new.run_id).message == "newest"
    assert ledger.known([old.dead_state_id]) == {old.dead_state_id}


def test_results_of_many_come_in_the_order_given_and_the_last_death_counts(ledger: Ledger):
    run = an_id()
    deaths = [
        a_death(run_id=run, after=9, message="last"),
        a_death(after=2),
        a_death(run_id=run, after=1, message="first"),
    ]

    results = ledger.record_all([*deaths, deaths[1]])

    assert [one.dead_state_id for one in results] == [
        *(death.dead_state_id for death in deaths),
        deaths[1].dead_state_id,
    ]
    assert [one.outcome for one in results] == [Outcome.REOPENED, Outcome.NEW, Outcome.NEW, Outcome.KNOWN]
    assert ledger.get(run).message == "last"
    assert ledger.count() == 2


def test_more_deaths_than_fit_one_transaction_are_all_recorded(ledger: Ledger):
    deaths = varied(1203)

    assert {one.outcome for one in ledger.record_all(deaths)} == {Outcome.NEW}
    assert ledger.count() == 1203
    assert ledger.known(death.dead_state_id for death in deaths) == {death.dead_state_id for death in deaths}


def test_text_that_a_database_refuses_is_stored_readably(ledger: Ledger):
    death = a_death(
        message="a\x00b\ud800c", parameters={"x": "\x00", "n": float("nan"), "s": "\ud800"}, error_type="E\x00"
    )

    ledger.record(death)

    row = ledger.get(death.run_id)
    assert row.message == "a\N{REPLACEMENT CHARACTER}b?c"
    assert row.parameters == {"x": "\x00", "n": None, "s": "?"}


def test_huge_texts_are_cut_in_the_middle(ledger: Ledger):
    death = a_death(message="m" * 10**6, traceback="head" + "t" * 10**6 + "the end")

    ledger.record(death)

    row = ledger.get(death.run_id)
    assert len(row.message) < 21_000
    assert row.traceback is not None
    assert row.traceback.startswith("head")
    assert row.traceback.endswith("the end")


def test_row_is_stored_raw_and_masked_for_people(ledger: Ledger):
    death = a_death(message="login failed with password='hunter2'", traceback="x = {'token': 'hunter2'}")
    ledger.record(death)

    row = ledger.get(death.run_id)

    assert row.parameters["password"] == "hunter2"
    assert "hunter2" not in row.masked().model_dump_json()
    assert "hunter2" not in ledger.groups()[0].masked().model_dump_json()


def test_what_is_read_together_uses_one_connection_and_gives_it_back(ledger: Ledger):
    pool = ledger._database.engine.pool
    assert isinstance(pool, QueuePool)

    with ledger.together():
        assert ledger.count(Filter(status="open")) == 0
        assert ledger.totals() == []
        assert pool.checkedout() == 1
    with pytest.raises(NotFound), ledger.together():
        ledger.get(uuid4())

    assert pool.checkedout() == 0
    assert ledger.count(Filter(status="open")) == 0
