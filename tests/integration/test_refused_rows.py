"""A row that the ledger's database refuses keeps no other out: it is written with what is known, or counted until it can be."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from redrive.blocks.core.settings import settings
from redrive.infra.backup.postgres_tools import libpq
from redrive.infra.keeper import auditing
from redrive.infra.keeper.auditing import Auditor
from redrive.infra.keeper.collecting import Collector
from tests.support.keeperless import Keeperless

#: What nobody foresaw, as a check of the database's own: it refuses every row of which this is true.
REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nobody foresaw this'; END $$;
CREATE TRIGGER refusing BEFORE INSERT ON dead_letters FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse();
"""


def refuse(condition: str) -> None:
    with psycopg.connect(libpq(settings().ledger_url()), autocommit=True) as connection:
        connection.execute(REFUSING.format(condition=condition).encode())


def accept_all() -> None:
    with psycopg.connect(libpq(settings().ledger_url()), autocommit=True) as connection:
        connection.execute("DROP TRIGGER refusing ON dead_letters")


def failed(keeperless: Keeperless, corrected: str) -> UUID:
    run = keeperless.run(keeperless.deployment("jobs"), parameters={"corrected": corrected})
    keeperless.set(run, "FAILED", message="it broke")
    return run


def test_row_that_is_refused_is_written_with_what_is_known(keeperless: Keeperless) -> None:
    odd, plain = failed(keeperless, "odd"), failed(keeperless, "plain")
    refuse("NEW.parameters::text LIKE '%odd%'")

    Collector(keeperless.ledger).sweep()

    rows = {row.run_id: row for row in keeperless.ledger.find().rows}
    assert rows.keys() == {odd, plain}
    assert (rows[odd].message, rows[odd].parameters) == ("it broke", {})
    assert rows[plain].parameters == {"corrected": "plain"}


def test_row_that_is_refused_altogether_keeps_no_other_out_and_is_counted_until_it_is_taken(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "TAIL_GRACE", timedelta(0))
    odd, plain = failed(keeperless, "odd"), failed(keeperless, "plain")
    refuse(f"NEW.run_id = '{odd}'")
    audit = Auditor(keeperless.ledger).sweep

    Collector(keeperless.ledger).sweep()
    audit()

    assert set(keeperless.rows()) == {plain}
    assert keeperless.ledger.audit().uncollected == 1
    accept_all()
    assert [row.run_id for row in audit()] == [odd]
    # Of the round before it is told on until a whole round had none.
    audit()
    assert keeperless.ledger.audit().uncollected == 0
