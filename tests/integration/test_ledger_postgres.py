# ruff: noqa: F811  (a fixture is imported, and asked for by an argument of its name)
"""The ledger on PostgreSQL: many processes at once, a server that goes away, and indexes that are really used."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from redrive.blocks.core.errors import Conflict, LedgerUnavailable
from redrive.deployments.dead_letters.ledger import DutyRecord, Ledger, Outcome
from redrive.deployments.dead_letters.ledger.schema import VERSION_TABLE
from redrive.deployments.dead_letters.ledger.tables import metadata
from redrive.deployments.people import people as _people  # noqa: F401  (its tables are among them)
from tests.support.deaths import START, a_death, varied
from tests.support.ledger_sums import act_at_random, assert_sums_are_right
from tests.support.postgres import PostgresServer, postgres_server, postgres_url, running_server  # noqa: F401


@pytest.fixture
def ledger(postgres_server: PostgresServer) -> Iterator[Ledger]:
    with Ledger(postgres_server.database()) as ledger:
        ledger.migrate()
        yield ledger


def test_migrations_make_the_tables_that_the_code_knows(ledger: Ledger):
    with ledger._database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                # Made only where the database offers trigrams, so the code's tables do not have it.
                "include_object": lambda _object, name, *_: name != "ix_dead_letters_message",
            },
        )
        assert compare_metadata(context, metadata) == []


def test_two_processes_may_migrate_at_once(postgres_server: PostgresServer):
    url = postgres_server.database()
    code = f"from redrive.deployments.dead_letters.ledger import Ledger; Ledger({url!r}).migrate()"

    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(3)]

    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    with Ledger(url) as ledger:
        assert ledger.count() == 0


def test_threads_may_migrate_at_once(postgres_server: PostgresServer):
    with Ledger(postgres_server.database()) as ledger, ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(ledger.migrate) for _ in range(4)]:
            done.result()

        assert ledger.count() == 0


def test_twenty_reports_of_one_death_at_once_make_one_row(ledger: Ledger):
    death, start = a_death(), threading.Barrier(20)

    def report(_number: int) -> Outcome:
        start.wait()
        with Ledger(ledger._database.url.render_as_string(hide_password=False)) as own:
            return own.record(death).outcome

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(report, range(20)))

    assert sorted(outcomes) == [Outcome.KNOWN] * 19 + [Outcome.NEW]
    assert ledger.count() == 1
    assert_sums_are_right(ledger)


def test_twenty_different_deaths_of_one_run_at_once_make_one_row_of_the_last(ledger: Ledger):
    run = uuid4()
    deaths = [a_death(run_id=run, after=n, message=f"cause {'abcde'[n % 5]}") for n in range(20)]

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(ledger.record, random.Random(3).sample(deaths, 20)))

    assert ledger.get(run).last_failure == START + timedelta(seconds=19)
    assert ledger.known(death.dead_state_id for death in deaths) == {death.dead_state_id for death in deaths}
    assert_sums_are_right(ledger)


def test_of_two_operators_one_redrives_and_the_other_learns_it(ledger: Ledger):
    row_id, start = ledger.record(a_death()).id, threading.Barrier(2)
    assert row_id

    def claim(who: str) -> str:
        start.wait()
        try:
            return ledger.claim_for_redrive(row_id, who=who).redriven_by or ""
        except Conflict as refused:
            return str(refused)

    with ThreadPoolExecutor(2) as pool:
        one, other = sorted(pool.map(claim, ["ann", "bob"]), key=len)

    assert one in {"ann", "bob"}
    assert f"redriven by {one} at" in other
    assert [act.what for act in ledger.history(row_id)] == ["dead-lettered", "redriven"]


def test_sums_equal_a_recount_after_many_acts_at_once(ledger: Ledger):
    def act(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(60):
            act_at_random(ledger, draw)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(6)))

    assert_sums_are_right(ledger)


def test_bulk_records_in_opposite_order_do_not_disturb_each_other(ledger: Ledger):
    deaths = varied(1000)

    with ThreadPoolExecutor(4) as pool:
        found = pool.map(ledger.record_all, [deaths, deaths[::-1], deaths, deaths[::-1]])

    assert sum(one.outcome is Outcome.NEW for results in found for one in results) == 1000
    assert ledger.count() == 1000
    assert_sums_are_right(ledger)


def test_rescue_lock_holds_over_connections_and_is_freed_by_an_error(ledger: Ledger):
    run = uuid4()
    other = Ledger(ledger._database.url.render_as_string(hide_password=False))

    def decide() -> None:
        with ledger.rescue_lock(run):
            with pytest.raises(Conflict, match="too long"), other.rescue_lock(run, wait=0.05):
                pass
            with other.rescue_lock(uuid4(), wait=0.05):
                pass
            raise RuntimeError

    with pytest.raises(RuntimeError):
        decide()
    with other.rescue_lock(run, wait=0.05):
        pass
    other.close()


def test_more_rescue_locks_than_the_pool_has_connections_leave_the_ledger_usable(ledger: Ledger):
    entered = threading.Barrier(16)

    def hold(_number: int) -> int:
        with ledger.rescue_lock(uuid4()):
            entered.wait(60)
            return ledger.count()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(hold, range(16))) == [0] * 16


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_ledger_works_again_after_its_server_was_unavailable(how: str):
    with running_server() as server, Ledger(server.database()) as ledger:
        ledger.migrate()
        death = a_death()
        ledger.record(death)
        server.stop(how)

        with pytest.raises(LedgerUnavailable, match="the ledger's database is unavailable: "):
            ledger.count()
        with pytest.raises(LedgerUnavailable), ledger.rescue_lock(uuid4()):
            pass

        server.start()
        assert ledger.record(death).outcome is Outcome.KNOWN
        assert ledger.record(a_death()).outcome is Outcome.NEW


def test_server_that_stops_within_a_rescue_decision_is_one_clear_error():
    with running_server() as server, Ledger(server.database()) as ledger:
        ledger.migrate()

        def decide() -> None:
            with ledger.rescue_lock(uuid4()):
                server.stop("immediate")

        with pytest.raises(LedgerUnavailable):
            decide()
        server.start()


def test_wrong_host_and_missing_database_are_one_clear_error(postgres_server: PostgresServer):
    for url in (
        "postgresql+psycopg://postgres:hunter2@127.0.0.1:1/x",
        f"postgresql+psycopg://postgres@/missing?host={postgres_server.folder}",
    ):
        with Ledger(url) as ledger, pytest.raises(LedgerUnavailable) as refused:
            ledger.count()
        assert "hunter2" not in str(refused.value)


def test_age_of_a_duty_is_reckoned_by_the_database_whatever_the_clock_here_says(ledger: Ledger):
    with time_machine.travel(timedelta(hours=-1)):
        ledger.begin_duties("keeper", {"rescue": 5.0})
        ledger.duty_done("keeper", DutyRecord(duty="rescue", every=5, succeeded=10, seconds=0.1))

    with time_machine.travel(timedelta(hours=2)):
        (duty,) = ledger.duties()

    assert 10 <= duty.age < 40


def test_audits_at_once_lose_no_find(ledger: Ledger):
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ledger.audited, found=1, uncollected=0) for _ in range(40)]:
            done.result()

    assert ledger.audit().found == 40
