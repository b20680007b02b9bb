"""Pages of a console whose Prefect never answered: what each says and still knows; and a page that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from redrive.blocks.core.settings import settings
from redrive.dashboards.console.app import make_app
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.people.people import People
from tests.support.deaths import varied
from tests.support.postgres import PostgresServer
from tests.support.stack import free_ports

NAVIGATION = 'aria-label="Pages"'


@pytest.fixture
def grace(postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody who is signed in where nothing but the ledger is there, which has one failure."""
    given = {
        "home": tmp_path,
        "database_url": postgres_server.database(),
        **free_ports("prefect_port", "metrics_port", "console_port"),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"REDRIVE_{name.upper()}", str(value))
    settings.cache_clear()
    here = settings()
    with Ledger(here.ledger_url()) as ledger:
        ledger.migrate()
        ledger.record_all(varied(1))
    with People(here.ledger_url()) as people:
        token = people.link("grace", "editor")
    with TestClient(make_app(here), follow_redirects=True) as client:
        assert client.get(f"/sign-in/link?token={token}").is_success
        yield client
    settings.cache_clear()


def test_each_page_says_what_it_would_need_and_shows_what_the_ledger_has(grace: TestClient) -> None:
    jobs = grace.get("/jobs?q=state:dead")
    assert jobs.status_code == 503
    assert "Nobody looked at these jobs before" in jobs.text
    assert "Jobs that run go on; nothing new starts." in jobs.text
    # The frame stays, and asks again by itself.
    assert 'hx-get="/jobs?q=state%3Adead"' in jobs.text

    unknown = grace.get(f"/jobs/{uuid4()}")
    assert unknown.status_code == 503
    assert "Prefect&#39;s API is unavailable" in unknown.text
    assert "Try again" in unknown.text

    failures = grace.get("/failures")
    assert failures.is_success
    with Ledger(settings().ledger_url()) as ledger:
        (row,) = ledger.find().rows
    failed = grace.get(f"/jobs/{row.run_id}")
    assert failed.status_code == 503
    assert "What stands here is what the ledger has of it." in failed.text
    assert row.error_type in failed.text


def test_page_that_is_not_there_keeps_the_side_bar_for_whoever_is_signed_in(grace: TestClient) -> None:
    known = grace.get("/nothing-here")
    assert known.status_code == 404
    assert NAVIGATION in known.text

    grace.cookies.clear()
    stranger = grace.get("/nothing-here")
    assert stranger.status_code == 404
    assert NAVIGATION not in stranger.text
