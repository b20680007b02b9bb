"""Budgets of performance, as the console and `redrive top` show them: the thresholds of the alerts, over the ledger's own sums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.process.job_figures import MEGABYTE, Counting, JobFigures
from redrive.dashboards.alerts.breaches import breaches
from redrive.dashboards.alerts.thresholds import FILE, Thresholds
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind
from tests.support.valkey import running_valkey

NOW = datetime.now(UTC).replace(second=30, microsecond=0)
ALERT = {"for": "5m", "severity": "warning"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as made:
        made.migrate()
        yield made


def thresholds(tmp_path: Path, **budgets: object) -> Thresholds:
    """Those of the project, with these budgets for `sync` alone."""
    given = yaml.safe_load(FILE.read_text())
    given["job_types"] = {"sync": budgets}
    file = tmp_path / "thresholds.yaml"
    file.write_text(yaml.safe_dump(given))
    return Thresholds.read(file)


def finishes(
    count: int, *, ran: float = 1, waited: float = 0.1, status: str = "completed", ago: float = 10
) -> list[Finish]:
    at = NOW - timedelta(minutes=ago)
    kind = Kind(queue="high", job="sync")
    return [Finish(run_id=uuid4(), kind=kind, at=at, status=status, ran=ran, waited=waited) for _ in range(count)]


def test_a_job_type_that_runs_too_long_is_reported(ledger: Ledger, tmp_path: Path) -> None:
    budget = {"p95": "30s", "window": "1h", "at_least": 20, **ALERT}
    ledger.counts.count([*finishes(18), *finishes(2, ran=100)])

    (found,) = breaches(ledger.counts, thresholds(tmp_path, duration=budget), NOW)

    assert (found.alert, found.job, found.severity) == ("RedriveJobSlow", "sync", "warning")
    assert found.said.startswith("One job in twenty of sync runs ")
    assert found.said.endswith(" in the last 1h; the budget is 30s.")


def test_a_job_type_that_waits_too_long_is_reported(ledger: Ledger, tmp_path: Path) -> None:
    budget = {"p95": "30s", "window": "1h", "at_least": 20, **ALERT}
    ledger.counts.count(finishes(20, waited=100))

    (found,) = breaches(ledger.counts, thresholds(tmp_path, duration=budget, wait=budget), NOW)

    assert found.alert == "RedriveJobWaits"


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(finishes(19, ran=100), id="too few to tell"),
        pytest.param(finishes(40, ran=1), id="within the budget"),
        pytest.param(finishes(40, ran=100, ago=90), id="longer ago"),
        pytest.param([], id="none"),
    ],
)
def test_what_is_within_its_budget_is_quiet(ledger: Ledger, tmp_path: Path, ends: list[Finish]) -> None:
    budget = {"p95": "30s", "window": "1h", "at_least": 20, **ALERT}
    ledger.counts.count(ends)

    assert breaches(ledger.counts, thresholds(tmp_path, duration=budget, wait=budget), NOW) == []


def test_failures_are_measured_by_their_share(ledger: Ledger, tmp_path: Path) -> None:
    budget = {"share": 0.05, "window": "1d", "at_least": 3, **ALERT}
    ledger.counts.count([*finishes(57), *finishes(3, status="dead")])
    limits = thresholds(tmp_path, failures=budget)
    at_the_limit = breaches(ledger.counts, limits, NOW)
    ledger.counts.count(finishes(1, status="dead"))

    (found,) = breaches(ledger.counts, limits, NOW)

    assert at_the_limit == []
    assert found.said == "4 of 61 jobs of sync became dead letters in the last 1d; the budget is 0.05 of them."


def test_memory_is_told_of_by_what_workers_measured(ledger: Ledger, tmp_path: Path) -> None:
    limits = thresholds(tmp_path, memory={"p95": "512MB", "window": "1h", "at_least": 20, **ALERT})
    counting = Counting()
    for memory in [100 * MEGABYTE] * 18 + [900 * MEGABYTE] * 2:
        counting.attempt("sync", seconds=1, memory=memory, steps={})

    with running_valkey() as url, closing(JobFigures(url)) as figures:
        quiet = breaches(ledger.counts, limits, NOW, figures)
        figures.add(counting.take(), NOW)
        (found,) = breaches(ledger.counts, limits, NOW, figures)

    assert quiet == []
    assert (found.alert, found.job) == ("RedriveJobMemory", "sync")
    assert found.said.endswith(" MB of memory or more in the last 1h; the budget is 512MB.")


def test_a_size_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'half a lot' is no size; write 500MB or 2GB"):
        thresholds(tmp_path, memory={"p95": "half a lot", "window": "1h", "at_least": 20, **ALERT})


def test_an_option_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such threshold"):
        thresholds(tmp_path, duration={"p95": "30s", "p99": "30s", "window": "1h", "at_least": 20, **ALERT})
