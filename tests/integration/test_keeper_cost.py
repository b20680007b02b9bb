"""What a look of the keeper costs in calls to Prefect: as much with a thousand jobs already seen as with a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import client as prefect_api
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.review_questions import withdraw_unanswered
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.keeper.auditing import PAGES, Auditor
from redrive.infra.keeper.collecting import Collector
from redrive.infra.keeper.postponed import Postponed
from redrive.infra.keeper.rescue import Rescuer
from redrive.infra.keeper.resolving import Resolver
from redrive.infra.keeper.stranded import Stranded
from tests.support.counting_proxy import CountingProxy, counting
from tests.support.job_stack import JobStack

PATIENCE = 120
SEEN = 1_200

_RUNS = """
    INSERT INTO flow_run
    SELECT (jsonb_populate_record(run, jsonb_build_object(
        'id', gen_random_uuid(), 'state_id', NULL, 'idempotency_key', NULL, 'name', 'copy',
        'end_time', run.end_time - interval '1 hour' - number * interval '1 millisecond'))).*
    FROM flow_run AS run, generate_series(1, %(copies)s) AS number WHERE run.id = %(run)s
"""
_STATES = """
    INSERT INTO flow_run_state
    SELECT (jsonb_populate_record(state, jsonb_build_object('id', gen_random_uuid(), 'flow_run_id', copy.id))).*
    FROM flow_run AS run JOIN flow_run_state AS state ON state.id = run.state_id, flow_run AS copy
    WHERE run.id = %(run)s AND copy.name = 'copy'
"""
_LINK = (
    "UPDATE flow_run SET state_id = state.id FROM flow_run_state AS state"
    " WHERE state.flow_run_id = flow_run.id AND flow_run.name = 'copy'"
)


@contextmanager
def copies(stack: JobStack, run_id: UUID) -> Iterator[None]:
    """Copies of a run that ended an hour before it, written straight into Prefect's database."""
    address = make_conninfo(host=str(stack.settings.socket_folder), user="postgres", dbname="redrive_prefect")
    with psycopg.connect(address, autocommit=True) as connection:
        values = {"run": run_id, "copies": SEEN}
        for statement in (_RUNS, _STATES, _LINK):
            connection.execute(statement, values)
        try:
            yield
        finally:
            connection.execute("DELETE FROM flow_run WHERE name = 'copy'")


def looks(ledger: Ledger) -> dict[str, Callable[[], Any]]:
    collector, rescuer = Collector(ledger), Rescuer(settings(), ledger)
    return {
        "collect": collector.sweep,
        "collect widely": lambda: collector.sweep(wide=True),
        "rescue": lambda: rescuer.sweep(now=0),
        "resolve": Resolver(ledger).sweep,
        "unstrand": Stranded().sweep,
        "bring forward": Postponed().sweep,
        "withdraw": withdraw_unanswered,
    }


@pytest.fixture
def proxy(job_stack: JobStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingProxy]:
    """Between this process and the stack's API."""
    del job_stack
    target = settings().api_url
    with counting(target.removesuffix("/api")) as between:
        monkeypatch.setenv("PREFECT_API_URL", f"{between.url}/api")
        _connect_anew()
        yield between
        monkeypatch.setenv("PREFECT_API_URL", target)
        _connect_anew()


def _connect_anew() -> None:
    settings.cache_clear()
    prefect_api.connect_anew()


def test_calls_of_a_sweep_do_not_grow_with_what_was_seen(
    job_stack: JobStack, proxy: CountingProxy, tmp_path: Path
) -> None:
    job = enqueue("test-permanent", {"folder": str(job_stack.folder("cost"))})
    wait_for(job.id, timeout=PATIENCE)

    def calls_of(look: Callable[[], Any]) -> int:
        before = proxy.calls
        look()
        return proxy.calls - before

    def after_all_is_seen(name: str) -> tuple[int, dict[str, int]]:
        """How many rows there are then, and the calls of another round of looks."""
        with Ledger(f"sqlite:///{tmp_path}/{name}.db") as ledger:
            ledger.migrate()
            seeing = looks(ledger)
            for look in seeing.values():
                look()
            calls = {name: calls_of(look) for name, look in seeing.items()}
            # It goes round in pages, so it may be anywhere.
            assert calls_of(Auditor(ledger).sweep) <= PAGES
            return ledger.count(), calls

    few, calls_with_few = after_all_is_seen("few")
    with copies(job_stack, job.id):
        many, calls_with_many = after_all_is_seen("many")

    assert many == few + SEEN
    assert all(calls_with_few.values()), "each sweep asks something"
    assert calls_with_many == calls_with_few
    print(calls_with_many)
