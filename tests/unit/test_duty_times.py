"""The times of the keeper's duties: what is recorded, and how old a duty is over all keepers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from redrive.deployments.dead_letters.ledger import Audit, DutyRecord, DutyState, Ledger
from redrive.infra.keeper.duty_times import DutyTimes

EVERY = {"rescue": 5.0, "collect": 1.5}
DAY = 86_400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{file}") as ledger:
        ledger.migrate()
        yield ledger


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def duty(ledger: Ledger, name: str = "rescue") -> DutyState:
    return next(one for one in ledger.duties() if one.duty == name)


def test_duty_that_never_succeeded_ages_from_when_its_keeper_began(ledger: Ledger, file: Path):
    ledger.begin_duties("a", EVERY)
    _move_begin_back(file, seconds=100)

    ledger.begin_duties("a", EVERY)

    assert 100 <= duty(ledger).age < 130
    assert duty(ledger).is_late
    assert duty(ledger).last_success is None


def test_age_is_that_of_the_most_recent_success_of_any_keeper(ledger: Ledger):
    ledger.duty_done("a", DutyRecord(duty="rescue", every=5, succeeded=300, seconds=0.5))
    ledger.duty_done("b", DutyRecord(duty="rescue", every=5, succeeded=20, seconds=0.2))

    found = duty(ledger)

    assert 20 <= found.age < 50
    assert (found.keeper, found.seconds) == ("b", 0.2)


def test_failure_is_told_and_makes_no_duty_younger(ledger: Ledger):
    ledger.duty_done("a", DutyRecord(duty="rescue", every=5, succeeded=300, seconds=0.5))

    ledger.duty_done("a", DutyRecord(duty="rescue", every=5, failed=0, error="it was away"))

    assert duty(ledger).age >= 300
    assert duty(ledger).error == "it was away"


def test_success_after_a_failure_ends_its_error(ledger: Ledger):
    ledger.duty_done("a", DutyRecord(duty="rescue", every=5, failed=9, error="it was away"))

    ledger.duty_done("a", DutyRecord(duty="rescue", every=5, succeeded=0, seconds=0.1))

    assert duty(ledger).error is None
    assert duty(ledger).last_failure is not None


def test_secrets_in_an_error_are_masked(ledger: Ledger):
    error = "cannot reach postgresql://redrive:hunter2@db/ledger"
    ledger.duty_done("a", DutyRecord(duty="rescue", every=5, failed=0, error=error))

    assert "hunter2" not in str(duty(ledger).error)


@pytest.mark.parametrize(("every", "limit"), [(1.5, 60), (5, 60), (60, 180), (600, 1800)])
def test_limit_follows_the_pace_of_a_duty(ledger: Ledger, every: float, limit: float):
    ledger.duty_done("a", DutyRecord(duty="rescue", every=every, succeeded=limit + 1, seconds=0))

    assert duty(ledger).limit == limit
    assert duty(ledger).is_late


def test_keepers_that_are_gone_are_forgotten_once_another_did_their_duty(ledger: Ledger, file: Path):
    ledger.duty_done("old", DutyRecord(duty="rescue", every=5, succeeded=2 * DAY, seconds=0))
    _move_begin_back(file, seconds=3 * DAY)
    times = DutyTimes(ledger, EVERY)

    times.record()
    assert duty(ledger).keeper == "old", "a keeper that only began must not hide since when nothing was done"

    times.done("rescue", seconds=0.1)
    times.record()
    assert _keepers(file, "rescue") == [times.keeper]


def test_duty_that_no_longer_exists_is_forgotten(ledger: Ledger, file: Path):
    ledger.duty_done("old", DutyRecord(duty="sweep the floor", every=5, succeeded=2 * DAY, seconds=0))
    _move_begin_back(file, seconds=3 * DAY)

    DutyTimes(ledger, EVERY).record()

    assert [one.duty for one in ledger.duties()] == ["collect", "rescue"]


def test_many_rounds_are_one_record(ledger: Ledger):
    clock = Clock()
    times = DutyTimes(ledger, EVERY, clock=clock)
    for _ in range(100):
        times.done("collect", seconds=0.1)
    assert ledger.duties() == [], "a round must not write"

    clock.now += 30
    times.record()

    assert 30 <= duty(ledger, "collect").age < 60


def test_ledger_that_is_unavailable_stops_nothing_and_loses_no_time(ledger: Ledger, tmp_path: Path):
    clock = Clock()
    times = DutyTimes(ledger, EVERY, clock=clock)
    away = DutyTimes(Ledger(f"sqlite:///{tmp_path}/no/such/folder.db"), EVERY)
    away.done("rescue", seconds=0.1)
    away.record()
    away.record()

    times.done("rescue", seconds=0.1)
    broken, times._ledger = times._ledger, away._ledger
    times.record()
    times.failed("rescue", "the ledger is unavailable")
    times._ledger = broken
    clock.now += 100
    times.record()

    assert 100 <= duty(ledger).age < 130
    assert duty(ledger).last_failure is not None


def test_finds_of_audits_add_up_and_what_is_uncollected_is_the_latest(ledger: Ledger):
    assert ledger.audit() == Audit(found=0, uncollected=0)

    ledger.audited(found=3, uncollected=2)
    ledger.audited(found=4, uncollected=0)

    assert ledger.audit() == Audit(found=7, uncollected=0)


def _move_begin_back(file: Path, *, seconds: float) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE keeper_duties SET since = ?", [f"{moment:%Y-%m-%d %H:%M:%S.%f}"])


def _keepers(file: Path, duty: str) -> list[str]:
    with sqlite3.connect(file) as database:
        return [name for (name,) in database.execute("SELECT keeper FROM keeper_duties WHERE duty = ?", [duty])]
