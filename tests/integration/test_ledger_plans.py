"""How PostgreSQL finds what is asked of a large ledger: by index or by sums, never by reading all rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from redrive.deployments.dead_letters.ledger import Filter, Ledger
from tests.support.deaths import START
from tests.support.full_ledger import fill
from tests.support.postgres import PostgresServer

MANY = 100_000


@pytest.fixture
def ledger(postgres_server: PostgresServer) -> Iterator[Ledger]:
    with Ledger(postgres_server.database()) as ledger:
        ledger.migrate()
        yield ledger


@pytest.fixture(scope="module")
def full_ledger(postgres_server: PostgresServer) -> Iterator[Ledger]:
    """100,000 rows, most of them closed, as after months."""
    with Ledger(postgres_server.database()) as ledger:
        fill(ledger, rows=MANY)
        yield ledger


ASKED: dict[str, Filter] = {
    "newest": Filter(),
    "open": Filter(status="open"),
    "job": Filter(job="job-a"),
    "open of a job": Filter(status="open", job="job-a"),
    "open of a queue": Filter(status="open", queue="low"),
    "error type": Filter(error_type="lib.ErrorB"),
    "open with a reason": Filter(status="open", reason="crash"),
    "a day": Filter(since=START + timedelta(hours=1), until=START + timedelta(hours=2)),
    "none of that status": Filter(status="redriven"),
    "rare text": Filter(text="thing 77777 "),
    "common text": Filter(text="refused"),
    "bulk act": Filter(batch=uuid4()),
    "no such job": Filter(job="nobody", status="open"),
}


def _plans(ledger: Ledger, ask: Any) -> list[str]:
    """EXPLAIN of every query on `dead_letters` that `ask` makes."""
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        if "dead_letters" in statement and statement.startswith("SELECT"):
            with connection.connection.cursor() as own:
                own.execute("EXPLAIN " + statement, parameters)
                plans.append("\n".join(line for (line,) in own.fetchall()))

    engine = ledger._database.engine
    event.listen(engine, "before_cursor_execute", explain)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return plans


@pytest.mark.parametrize("name", ASKED)
def test_lists_of_a_large_ledger_use_an_index(full_ledger: Ledger, name: str):
    asked = ASKED[name]
    page = full_ledger.find(asked, limit=50)

    plans = _plans(full_ledger, lambda: full_ledger.find(asked, limit=50, cursor=page.next))
    plans += _plans(full_ledger, lambda: full_ledger.find(asked, limit=50, oldest_first=True))

    assert len(plans) == 2
    for plan in plans:
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("name", ASKED)
def test_groups_of_a_large_ledger_use_sums_or_an_index(full_ledger: Ledger, name: str):
    for plan in _plans(full_ledger, lambda: full_ledger.groups(ASKED[name])):
        assert "Seq Scan on dead_letters " not in plan, plan


def test_one_cause_of_a_large_ledger_is_listed_by_index(full_ledger: Ledger):
    whole = full_ledger.groups()[3].fingerprint

    for asked in (Filter(fingerprint=whole), Filter(fingerprint=whole[:9], status="open")):
        (plan,) = [
            plan
            for plan in _plans(full_ledger, lambda asked=asked: full_ledger.find(asked, limit=50))
            if "dead_letters" in plan
        ]
        assert "Seq Scan on dead_letters " not in plan, plan


def test_counts_of_a_large_ledger_do_not_read_its_rows(full_ledger: Ledger):
    def ask() -> None:
        full_ledger.count()
        full_ledger.count(Filter(status="open", job="job-a"))
        full_ledger.totals()
        full_ledger.groups()
        full_ledger.groups(Filter(status="open", queue="high"))

    assert _plans(full_ledger, ask) == []
    assert full_ledger.count() == MANY


def test_single_rows_and_the_oldest_of_a_large_ledger_are_found_by_index(full_ledger: Ledger):
    row = full_ledger.find(limit=1).rows[0]

    plans = _plans(
        full_ledger,
        lambda: (
            full_ledger.get(str(row.run_id)[:8]),
            full_ledger.get(row.id),
            full_ledger.oldest_open(),
            full_ledger.redriven(),
        ),
    )

    assert len(plans) >= 4
    for plan in plans:
        assert "Seq Scan on dead_letters" not in plan, plan
