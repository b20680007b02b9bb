"""Budgets that are exceeded, as people see them: on the page of slow jobs, among the overview's alerts, and in `redrive top`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from redrive.blocks.process.job_figures import MEGABYTE, Counting, JobFigures
from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind
from redrive.infra.cli.top import _over_budget
from tests.support.console import own_console, sign_in_link
from tests.support.job_stack import JobStack, pointed_at
from tests.support.postgres import PostgresServer
from tests.support.valkey import running_valkey

SLOW = r"One job in twenty of reports runs \d+ s or longer in the last 1h; the budget is 5m\."
LARGE = r"One attempt in twenty of reports has 1,\d{3} MB of memory or more in the last 1h; the budget is 1GB\."


@pytest.fixture
def over_budget(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[JobStack]:
    """A stack that does not run, with a ledger in which reports take too long and too much memory, by the thresholds that come along."""
    with running_valkey() as url:
        stack = JobStack(tmp_path / ".redrive", redis_url=url, database_url=postgres_server.database())
        stack.home.mkdir()
        at = datetime.now(UTC) - timedelta(minutes=2)
        kind = Kind(queue="low", job="reports")
        ends = [Finish(run_id=uuid4(), kind=kind, at=at, status="completed", ran=400, waited=0.1) for _ in range(20)]
        counting = Counting()
        for _ in range(20):
            counting.attempt("reports", seconds=400, memory=1400 * MEGABYTE, steps={"render": ({"600.0": 1}, 300.0)})
        with stack.ledger() as ledger, closing(JobFigures(url)) as figures:
            ledger.counts.count(ends)
            figures.add(counting.take(), at)
        yield stack


def test_the_console_shows_them_beside_the_job_type_and_among_the_alerts(over_budget: JobStack) -> None:
    with own_console(over_budget, None) as (base, _), httpx.Client(base_url=base, trust_env=False) as grace:
        token = sign_in_link(over_budget, "grace", "viewer").rpartition("/")[2]
        assert grace.get(f"/sign-in/{token}").status_code == 303
        slow = unescape(grace.get("/slow").text)
        overview = unescape(grace.get("/").text)

    assert re.search(r"<b>reports</b>\s*<span class=\"pill bad\">over budget</span>", slow)
    for said in (SLOW, LARGE):
        assert re.search(said, slow)
        assert re.search(said, overview)
    # With the first step of the alert's runbook, for this job type.
    assert "redrive jobs list --job reports --state running" in overview


def test_top_says_them(over_budget: JobStack) -> None:
    with pointed_at(over_budget), over_budget.ledger() as ledger:
        slow, large = _over_budget(ledger, datetime.now(UTC))

    assert re.fullmatch(SLOW, slow)
    assert re.fullmatch(LARGE, large)
