"""Budgets that are exceeded, as people see them: on the page of slow jobs, among the overview's alerts, and in `redrive top`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from redrive.blocks.core.settings import Settings, settings
from redrive.blocks.process.job_figures import MEGABYTE, Counting, JobFigures
from redrive.dashboards.console.app import make_app
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind
from redrive.deployments.people.people import People
from redrive.infra.cli.top import _over_budget
from tests.support.postgres import PostgresServer
from tests.support.stack import free_ports
from tests.support.valkey import running_valkey

SLOW = r"One job in twenty of reports runs \d+ s or longer in the last 1h; the budget is 5m\."
LARGE = r"One attempt in twenty of reports has 1,\d{3} MB of memory or more in the last 1h; the budget is 1GB\."


@pytest.fixture
def over_budget(postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An installation whose reports take too long and too much memory, by the thresholds that come with Redrive."""
    with running_valkey() as url:
        ports = free_ports("prefect_port", "metrics_port", "console_port")
        given = {"home": tmp_path, "redis_url": url, "database_url": postgres_server.database(), **ports}
        for name, value in given.items():
            monkeypatch.setenv(f"REDRIVE_{name.upper()}", str(value))
        settings.cache_clear()
        here = settings()
        at = datetime.now(UTC) - timedelta(minutes=2)
        ends = [
            Finish(
                run_id=uuid4(), kind=Kind(queue="low", job="reports"), at=at, status="completed", ran=400, waited=0.1
            )
            for _ in range(20)
        ]
        counting = Counting()
        for _ in range(20):
            counting.attempt("reports", seconds=400, memory=1400 * MEGABYTE, steps={"render": ({"600.0": 1}, 300.0)})
        with Ledger(here.ledger_url()) as ledger, closing(JobFigures(url)) as figures:
            ledger.migrate()
            ledger.counts.count(ends)
            figures.add(counting.take(), at)
        yield here
    settings.cache_clear()


def test_the_console_shows_them_beside_the_job_type_and_among_the_alerts(over_budget: Settings) -> None:
    with People(over_budget.ledger_url()) as people:
        token = people.link("grace", "viewer")
    with TestClient(make_app(over_budget), follow_redirects=True) as grace:
        assert grace.get(f"/sign-in/link?token={token}").is_success
        slow = unescape(grace.get("/slow").text)
        overview = unescape(grace.get("/").text)

    assert re.search(r"<b>reports</b>\s*<span class=\"pill bad\">over budget</span>", slow)
    for said in (SLOW, LARGE):
        assert re.search(said, slow)
        assert re.search(said, overview)
    # With the first step of the alert's runbook, for this job type.
    assert "redrive jobs list --job reports --state running" in overview


def test_top_says_them(over_budget: Settings) -> None:
    with Ledger(over_budget.ledger_url()) as ledger:
        slow, large = _over_budget(ledger, datetime.now(UTC))

    assert re.fullmatch(SLOW, slow)
    assert re.fullmatch(LARGE, large)
