"""Counting on PostgreSQL, where exporters and keepers really work at once."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.ledger.finishes import Finish, InProgress, Kind
from tests.support.deaths import a_death
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAIL = Kind(queue="high", job="mail")


@pytest.fixture
def ledger(postgres_server: PostgresServer) -> Iterator[Ledger]:
    with Ledger(postgres_server.database()) as ledger:
        ledger.migrate()
        yield ledger


def a_finish(number: int) -> Finish:
    at = NOW + timedelta(milliseconds=number)
    return Finish(
        run_id=UUID(int=number), at=at, status="completed", kind=MAIL, retries=number % 3, ran=1.0, waited=0.5
    )


def test_four_exporters_at_once_count_as_one(ledger: Ledger) -> None:
    finishes = [a_finish(number) for number in range(400)]

    def sweep(seed: int) -> None:
        draw = random.Random(seed)
        mine = finishes.copy()
        draw.shuffle(mine)
        for start in range(0, 400, 40):
            part = mine[start : start + 40]
            # Each also saw some of the jobs while they waited, and tells so late.
            waiting = [InProgress(run_id=job.run_id, kind=MAIL, retries=job.retries) for job in part[:10]]
            ledger.counts.count(part, in_progress=waiting, cursor=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sweep, range(4)))

    counts = ledger.counts.all()
    assert counts["jobs", "high", "mail", "completed"] == 400
    assert counts["retries", "high", "mail", ""] == sum(job.retries for job in finishes)
    assert counts["duration_sum", "high", "mail", ""] == 400


def test_a_death_and_a_sample_at_the_same_waiting_job_count_its_retries_once(ledger: Ledger) -> None:
    deaths = [a_death(run_id=uuid4(), job="mail", queue="high", retries=2) for _ in range(100)]
    waiting = [InProgress(run_id=death.run_id, kind=MAIL, retries=1) for death in deaths]

    with ThreadPoolExecutor(3) as pool:
        for done in [
            pool.submit(ledger.record_all, deaths),
            pool.submit(ledger.record_all, deaths[::-1]),
            *(pool.submit(ledger.counts.count, in_progress=waiting[start : start + 10]) for start in range(0, 100, 10)),
        ]:
            done.result()

    counts = ledger.counts.all()
    assert counts["jobs", "high", "mail", "dead"] == 100
    assert counts["retries", "high", "mail", ""] == 200


def test_an_exporter_that_is_killed_while_it_counts_loses_and_doubles_nothing(ledger: Ledger) -> None:
    code = (
        "from tests.integration.test_counts_postgres import a_finish, NOW\n"
        "from redrive.deployments.dead_letters.ledger import Ledger\n"
        f"ledger = Ledger({ledger._database.url.render_as_string(hide_password=False)!r})\n"
        "for start in range(0, 2000, 20):\n"
        "    ledger.counts.count([a_finish(n) for n in range(start, start + 20)], cursor=a_finish(start).at)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])

    wait_until(lambda: ledger.counts.all().get(("jobs", "high", "mail", "completed"), 0) >= 200, 60, "it to count")
    process.kill()
    process.wait()

    counted = ledger.counts.all()["jobs", "high", "mail", "completed"]
    assert counted < 2000, "it was done before it was killed"
    assert ledger.counts.known_between(NOW, NOW + timedelta(days=1)) == counted
    ledger.counts.count([a_finish(number) for number in range(2000)])
    assert ledger.counts.all()["jobs", "high", "mail", "completed"] == 2000
    assert ledger.counts.all()["duration_sum", "high", "mail", ""] == 2000
