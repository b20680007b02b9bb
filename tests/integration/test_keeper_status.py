"""`redrive status` judges the keeper by when its duties were done, as the ledger knows it; not by whether its process lives."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from redrive.blocks.core.settings import Settings
from redrive.deployments.dead_letters.ledger import DutyRecord, Ledger
from redrive.infra.local.components.keeper import Keeper
from tests.support.postgres import PostgresServer

HOUR = 3600.0


@pytest.fixture
def given(postgres_server: PostgresServer, tmp_path: Path) -> Settings:
    """A stack whose keeper was started an hour ago and finished a round just now."""
    url = postgres_server.database().replace("+psycopg", "")
    found = Settings.load({"REDRIVE_HOME": str(tmp_path / ".redrive"), "REDRIVE_DATABASE_URL": url})
    run = found.home / "run"
    run.mkdir(parents=True)
    Keeper(found).prepare()
    os.utime(run / "keeper.begun", (time.time() - HOUR,) * 2)
    (run / "keeper.alive").touch()
    return found


def record(given: Settings, *, rescued: float) -> None:
    """Rescue was last done so many seconds ago, collect just now."""
    with Ledger(given.ledger_url()) as ledger:
        ledger.migrate()
        ledger.begin_duties("host:71", {"rescue": 5.0, "collect": 1.5})
        ledger.duty_done(
            "host:71",
            DutyRecord(duty="rescue", every=5.0, succeeded=rescued, seconds=0.1),
            DutyRecord(duty="collect", every=1.5, succeeded=0.0, seconds=0.1),
        )


def test_keeper_whose_duties_are_done_is_healthy(given: Settings) -> None:
    record(given, rescued=3)

    assert Keeper(given).healthy()
    assert not Keeper(given).complaint()


def test_keeper_with_a_late_duty_is_not_healthy_though_others_are_done(given: Settings) -> None:
    record(given, rescued=200)

    assert not Keeper(given).healthy()
    assert Keeper(given).complaint().startswith("rescue was not done for 3 min, since ")


def test_keeper_that_was_just_started_is_not_late_by_what_was_before(given: Settings) -> None:
    record(given, rescued=HOUR)
    keeper = Keeper(given)

    keeper.prepare()
    assert keeper.complaint() == "it has done no round yet"
    (given.home / "run" / "keeper.alive").touch()

    assert keeper.healthy()


def test_keeper_without_its_ledger_is_not_healthy(given: Settings) -> None:
    with Ledger(given.ledger_url()) as ledger, ledger._database.engine.begin() as connection:
        ledger.migrate()
        connection.execute(text("ALTER TABLE keeper_duties RENAME TO gone"))

    assert "the ledger has no tables yet" in Keeper(given).complaint()
