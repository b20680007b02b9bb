"""The ledger's database, or a part of it, is away while jobs die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from redrive.blocks.prefect.runs import by_id
from redrive.deployments.enqueue import enqueue, wait_for
from tests.chaos.fault_stack import PATIENCE, FaultStack, kill
from tests.chaos.journal import read_journal
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(600)]


@contextmanager
def ledger_shut(stack: FaultStack) -> Iterator[None]:
    """Nobody gets into database `redrive`, and whoever was in is thrown out; Prefect's own database works on."""
    address = make_conninfo(host=str(stack.settings.socket_folder), user="postgres", dbname="postgres")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("ALTER DATABASE redrive ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'redrive'")
        try:
            yield
        finally:
            connection.execute("ALTER DATABASE redrive ALLOW_CONNECTIONS true")


@contextmanager
def cursors_locked(stack: FaultStack) -> Iterator[None]:
    """Whoever collects or audits hangs, as these keep their place there."""
    address = make_conninfo(host=str(stack.settings.socket_folder), user="postgres", dbname="redrive")
    with psycopg.connect(address) as connection:
        connection.execute("LOCK TABLE ledger_cursors IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def test_jobs_still_die_in_prefect_and_are_collected_when_the_ledger_is_back(stack: FaultStack) -> None:
    folder = stack.folder("ledger-away")
    keeper = stack.pid("keeper")
    said = len(stack.keeper_log())

    with ledger_shut(stack):
        failing = [enqueue("fault-hopeless", {"folder": str(folder)}) for _ in range(2)]
        poison = enqueue("fault-poison", {"folder": str(folder)})
        for one in failing:
            end = wait_for(one.id, timeout=PATIENCE)
            assert end.state is not None
            assert end.state.name == "DeadLetter"
        wait_until(lambda: "collect has to wait" in stack.keeper_log()[said:], PATIENCE, "the keeper to notice")
        # A crash is decided under the ledger's lock, so this one waits for it. (`wait_for` would give the keeper two minutes.)
        wait_until(lambda: by_id([poison.id])[poison.id].state_type == "CRASHED", PATIENCE, "the poison pill to crash")

    for one in failing:
        assert stack.dead_letter(one.id, timeout=PATIENCE).reason == "tries"
    assert stack.dead_letter(poison.id, timeout=PATIENCE).reason == "crash"
    assert stack.pid("keeper") == keeper, "the keeper must outlive the ledger's absence"
    assert "collect works again" in stack.keeper_log()[said:]


def test_job_whose_process_died_starts_again_while_another_duty_of_the_keeper_hangs(stack: FaultStack) -> None:
    folder = stack.folder("hangs")
    job = enqueue("fault-held", {"folder": str(folder)})
    wait_until(lambda: read_journal(folder), PATIENCE, "the job to run")

    with cursors_locked(stack):
        kill(*stack.job_processes()[job.id])
        wait_until(lambda: len(read_journal(folder)) == 2, PATIENCE, "the job to run again")

    (folder / "go").touch()
    assert wait_for(job.id, timeout=PATIENCE).state_name == "Completed"
