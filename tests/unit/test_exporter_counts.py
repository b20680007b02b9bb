"""Counting ends of jobs: what one is worth, and that each is counted once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.ledger.count_additions import NAMES
from redrive.deployments.dead_letters.ledger.finishes import (
    Finish,
    InProgress,
    Kind,
)
from redrive.deployments.dead_letters.outcomes import Spent
from tests.support.deaths import a_death
from tests.support.finishes import MAIL, NOW, a_finish


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.migrate()
        yield ledger


def value(ledger: Ledger, metric: str, label: str = "", kind: Kind = MAIL) -> float:
    return ledger.counts.all().get((metric, kind.queue, kind.job, label), 0)


def test_a_completed_job_is_counted_with_what_it_took(ledger: Ledger) -> None:
    ledger.counts.count([a_finish(retries=2, rescues=1, ran=2.0, waited=45.0)])

    assert value(ledger, "jobs", "completed") == 1
    assert value(ledger, "retries") == 2
    assert value(ledger, "rescues") == 1
    assert (value(ledger, "duration", "2.5"), value(ledger, "duration_sum")) == (1, 2.0)
    assert (value(ledger, "wait", "60.0"), value(ledger, "wait_sum")) == (1, 45.0)
    assert (value(ledger, "tries", "3.0"), value(ledger, "tries_sum")) == (1, 3)
    assert value(ledger, "last") == NOW.timestamp()


def test_the_same_end_is_counted_once_in_whatever_sweep(ledger: Ledger) -> None:
    once = a_finish()

    counted = [ledger.counts.count([once]), ledger.counts.count([once, a_finish()])]

    assert counted == [1, 1]
    assert value(ledger, "jobs", "completed") == 2


def test_an_end_that_is_told_twice_is_one_and_another_end_of_the_run_is_another(ledger: Ledger) -> None:
    first = a_finish(status="cancelled")
    ledger.counts.count([first])

    # Whoever stops a job may cancel it twice; Prefect keeps the end time of the first.
    again = dataclasses.replace(first, ran=2.5)
    later = dataclasses.replace(first, at=NOW + timedelta(seconds=60), status="completed")
    counted = [ledger.counts.count([again]), ledger.counts.count([later])]

    assert counted == [0, 1]
    assert (value(ledger, "jobs", "cancelled"), value(ledger, "jobs", "completed")) == (1, 1)


def test_a_job_that_never_started_has_no_duration(ledger: Ledger) -> None:
    ledger.counts.count([a_finish(status="cancelled", waited=None, ran=0.0)])

    assert value(ledger, "jobs", "cancelled") == 1
    assert not [key for key in ledger.counts.all() if key[0].startswith(("duration", "wait", "tries"))]


def test_a_death_is_counted_by_its_record_itself(ledger: Ledger) -> None:
    death = a_death(job="mail", queue="high", reason="tries", retries=2, ran=3.0, waited=1.0)

    ledger.record(death)
    ledger.record(death)

    assert value(ledger, "jobs", "dead") == 1
    assert value(ledger, "failed", "tries") == 1
    assert (value(ledger, "tries_sum"), value(ledger, "retries")) == (3, 2)


def test_an_older_death_that_arrives_late_is_not_counted(ledger: Ledger) -> None:
    death = a_death(job="mail", queue="high", reason="tries")
    ledger.record(death)

    older = {"dead_state_id": uuid4(), "last_failure": death.last_failure - timedelta(seconds=9)}
    ledger.record(death.model_copy(update=older))

    assert value(ledger, "failed", "tries") == 1


def test_every_reopening_is_another_failure(ledger: Ledger) -> None:
    death = a_death(job="mail", queue="high", reason="tries")
    ledger.record(death)

    ledger.record(death.model_copy(update={"dead_state_id": uuid4(), "reason": "odd", "last_failure": NOW}))

    assert (value(ledger, "failed", "tries"), value(ledger, "failed", "other")) == (1, 1)
    assert value(ledger, "jobs", "dead") == 2


def test_a_redriven_job_that_completes_counts_what_it_took_since(ledger: Ledger) -> None:
    death = a_death(job="mail", queue="high", retries=2, ran=3.0, waited=1.0)
    ledger.record(death)

    # Prefect's run time goes on from before; tries count afresh.
    ledger.counts.count([a_finish(run_id=death.run_id, retries=1, since="2026-11-24T12:00:00", ran=5.0, waited=1.0)])

    assert (value(ledger, "jobs", "dead"), value(ledger, "jobs", "completed")) == (1, 1)
    assert value(ledger, "retries") == 3
    assert value(ledger, "duration_sum") == 5.0, "the seconds before the death were counted with it"
    assert (value(ledger, "tries", "3.0"), value(ledger, "tries", "2.0")) == (1, 1)
    assert value(ledger, "wait_sum") == 1.0, "a job waits for its first start once"


def test_labels_that_a_redrive_has_not_reset_yet_are_not_counted_again(ledger: Ledger) -> None:
    death = a_death(job="mail", queue="high", retries=2, rescues=1)
    ledger.record(death)

    ledger.counts.count([a_finish(run_id=death.run_id, status="cancelled", retries=2, rescues=1)])

    assert (value(ledger, "retries"), value(ledger, "rescues")) == (2, 1)


def test_retries_of_a_waiting_job_are_counted_now_and_not_again_at_its_end(ledger: Ledger) -> None:
    run_id = uuid4()
    for retries in (1, 1, 2):
        ledger.counts.count(in_progress=[InProgress(run_id=run_id, kind=MAIL, retries=retries)])
    assert value(ledger, "retries") == 2

    ledger.counts.count([a_finish(run_id=run_id, retries=3)])

    assert value(ledger, "retries") == 3
    assert value(ledger, "tries", "4.0") == 1
    # Another exporter looked before the end and writes after it.
    ledger.counts.count(in_progress=[InProgress(run_id=run_id, kind=MAIL, retries=2)])
    assert value(ledger, "retries") == 3


def test_cursor_and_counts_are_one_transaction(ledger: Ledger) -> None:
    ledger.counts.count([a_finish()], cursor=NOW)

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO ledger_cursors"):
            raise RuntimeError("killed here")

    event.listen(ledger._database.engine, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError):
        ledger.counts.count([a_finish()], cursor=NOW + timedelta(seconds=1))
    event.remove(ledger._database.engine, "before_cursor_execute", fail)

    assert ledger.counts.cursor() == NOW
    assert value(ledger, "jobs", "completed") == 1
    assert ledger.counts.known_between(NOW, NOW) == 1


def test_counting_begins_when_the_tables_are_made(ledger: Ledger) -> None:
    cursor = ledger.counts.cursor()

    assert cursor is not None
    assert timedelta(0) <= datetime.now(UTC) - cursor < timedelta(minutes=1)


def test_of_a_thousand_job_types_the_first_have_counts_of_their_own(ledger: Ledger) -> None:
    ledger.counts.name("job", ["mail"])

    for number in range(0, 1000, 100):
        ledger.counts.count([a_finish(kind=Kind(queue="low", job=f"job-{n}")) for n in range(number, number + 100)])
    ledger.counts.count([a_finish()])

    jobs = {job for _, _, job, _ in ledger.counts.all()}
    assert len(jobs) == NAMES["job"] + 1
    assert {"mail", "other"} <= jobs
    assert sum(n for (metric, *_), n in ledger.counts.all().items() if metric == "jobs") == 1001


def test_what_was_counted_long_ago_is_forgotten_and_what_may_come_again_is_not(ledger: Ledger) -> None:
    old, recent = a_finish(at=NOW - timedelta(hours=2)), a_finish(at=NOW)
    ledger.counts.count([old, recent])

    ledger.counts.forget(NOW)

    assert ledger.counts.known_between(NOW - timedelta(days=1), NOW) == 1


def test_nothing_of_what_is_counted_by_is_left_out_of_a_finish() -> None:
    assert {field.name for field in dataclasses.fields(Spent)} <= {field.name for field in dataclasses.fields(Finish)}
