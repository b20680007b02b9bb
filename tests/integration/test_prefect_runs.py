"""The gateway to Prefect's runs: pages that lose nobody while runs leave their state, and changes of state with a condition."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from prefect import flow
from prefect.states import Failed, Scheduled

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.requests import fast
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.states import COMPLETED, state
from redrive.infra.backup.postgres_tools import libpq
from tests.support.job_stack import JobStack
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

#: What `Wanted` asks for here is not deployed, so that no worker and no keeper touches it.
MADE = 7
#: Small pages show at seven runs what 200 show at a thousand.
LIMIT = 2


@flow(name="paged")
def paged() -> None:
    """Never runs: its runs are only records."""


@pytest.fixture
def failed(job_stack: JobStack) -> Iterator[list[UUID]]:
    """Runs that failed, all at the same moment but for the last two."""
    del job_stack
    ids = [api().create_flow_run(paged, state=Scheduled(), name=f"paged-{number}").id for number in range(MADE)]
    for one in ids:
        api().set_flow_run_state(one, Failed(message="made up"), force=True)
    yield ids
    for one in ids:
        if one in runs.by_id([one]):
            api().delete_flow_run(one)


def wanted(ids: list[UUID]) -> Wanted:
    return Wanted(types=["FAILED"], ids=ids, deployed=False)


def seen(asked: Wanted, order: Order, *, between: object = None) -> list[UUID]:
    found, place = [], None
    while True:
        page = runs.page(asked, order, after=place, limit=LIMIT)
        found += [run.id for run in page.runs]
        if callable(between):
            between(page.runs)
        if page.next is None:
            return found
        place = runs.Place.read(page.next.text())


@pytest.mark.parametrize("order", [Order.ENDED, Order.EXPECTED])
def test_pages_show_each_run_once(failed: list[UUID], order: Order) -> None:
    found = seen(wanted(failed), order)

    assert sorted(found) == sorted(failed)


@pytest.mark.parametrize("order", [Order.ENDED, Order.EXPECTED])
def test_runs_that_leave_their_state_between_two_pages_hide_none(failed: list[UUID], order: Order) -> None:
    def redriven(page: list[runs.Run]) -> None:
        for run in page:
            assert runs.transition(run.id, state(COMPLETED), only_from=["FAILED"])

    found = seen(wanted(failed), order, between=redriven)

    assert sorted(found) == sorted(failed)


@pytest.mark.parametrize("server", ["redrive", "plain"])
def test_transition_happens_only_from_the_states_named(
    failed: list[UUID], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast.ABSENCE, "until", 0.0 if server == "redrive" else float("inf"))
    one = failed[0]

    refused = runs.transition(one, state(COMPLETED), only_from=["CRASHED", "RUNNING"])
    done = runs.transition(one, state(COMPLETED, message="by condition"), only_from=["FAILED"], names=["Failed"])

    assert not refused
    assert refused.refused == "it is Failed"
    now = runs.by_id([one])[one]
    assert (now.state_id, now.state_type, now.message) == (done.state_id, "COMPLETED", "by condition")


def test_transition_happens_only_from_the_very_state_that_was_read(failed: list[UUID]) -> None:
    one = failed[0]
    read = runs.by_id([one])[one].state_id
    api().set_flow_run_state(one, Failed(message="once more"), force=True)

    assert not runs.transition(one, state(COMPLETED), only_from=["FAILED"], state_id=read)

    assert runs.by_id([one])[one].message == "once more"


def test_run_that_somebody_moves_while_it_is_judged_stays_where_it_was_moved(failed: list[UUID]) -> None:
    one = failed[0]
    database = libpq(settings().prefect_database_url())
    with (
        psycopg.connect(database) as somebody,
        psycopg.connect(database, autocommit=True) as observer,
        ThreadPoolExecutor() as threads,
    ):
        somebody.execute("UPDATE flow_run SET state_type = 'RUNNING', state_name = 'Running' WHERE id = %s", [one])
        change = threads.submit(runs.transition, one, state(COMPLETED), only_from=["FAILED"])
        is_waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        wait_until(lambda: change.done() or observer.execute(is_waiting).fetchone(), 60, "the change")
        somebody.commit()

        assert not change.result(60)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT state_name FROM flow_run WHERE id = %s", [one]).fetchone() == ("Running",)


def test_delete_spares_a_run_that_left_its_state_or_ended_later(failed: list[UUID]) -> None:
    old, completed = failed[0], failed[1]
    assert runs.transition(completed, state(COMPLETED), only_from=["FAILED"])

    early = runs.delete_if([old], types=["FAILED"], ended_before=datetime.now(UTC) - timedelta(days=1))
    deleted = runs.delete_if([old, completed, uuid4()], types=["FAILED"], ended_before=datetime.now(UTC))

    assert early == []
    assert deleted == [old]
    assert runs.by_id([completed])
