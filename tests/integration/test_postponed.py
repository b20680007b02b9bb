"""After the server's clock was put back, what waits is due when it was meant to be, not when the old time comes again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.server_clock import ServerClock
from redrive.blocks.prefect.wait import Wait
from redrive.infra.keeper import postponed
from redrive.infra.keeper.postponed import Postponed
from tests.support.keeperless import Keeperless

HOUR = timedelta(hours=1)
SOON = timedelta(seconds=90)


def waiting(keeperless: Keeperless, name: str, *, delay: timedelta, told: datetime | None = None) -> UUID:
    """A run that waits in a state of that name and is due after a delay, from when it was `told` if its label is to say so."""
    due = (told or datetime.now(UTC)) + delay
    body: dict[str, Any] = {"type": "SCHEDULED", "name": name, "message": "try 1 of 3 failed"}
    body["state_details"] = {"scheduled_time": due.isoformat()}
    run = keeperless.run(keeperless.deployment("jobs"), state=body)
    if told is not None:
        ask(requests.label(run, Wait.until(due, told=told).label))
    return run


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says that it is an hour earlier than when it told the runs their times."""
    clock = ServerClock()
    clock.observe(format_datetime(datetime.now(UTC) - HOUR, usegmt=True))
    monkeypatch.setattr(postponed, "SERVER_CLOCK", clock)


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    ("name", "delay"), [("AwaitingRetry", SOON), ("Retrying", SOON), ("Scheduled", timedelta(seconds=1))]
)
def test_run_is_due_as_long_after_the_step_as_it_was_to_wait(
    keeperless: Keeperless, name: str, delay: timedelta
) -> None:
    run = waiting(keeperless, name, delay=delay)
    meant = datetime.now(UTC) - HOUR + delay

    assert run in Postponed().sweep()

    after = keeperless.read(run)
    assert after.state_name == name
    assert after.scheduled is not None
    assert abs(after.scheduled - meant) < timedelta(seconds=20)
    assert after.message.startswith("try 1 of 3 failed; due sooner")
    assert run not in Postponed().sweep()


@pytest.mark.usefixtures("put_back")
def test_run_that_was_asked_for_at_a_time_of_day_stays_at_that_time(keeperless: Keeperless) -> None:
    run = waiting(keeperless, "Scheduled", delay=SOON)
    before = keeperless.read(run)

    assert run not in Postponed().sweep()

    assert keeperless.read(run) == before


@pytest.mark.parametrize("name", ["AwaitingRetry", "Scheduled"])
def test_wait_that_was_decided_right_before_the_step_and_written_after_it_is_as_long_as_was_meant(
    keeperless: Keeperless, name: str
) -> None:
    run = waiting(keeperless, name, delay=SOON, told=datetime.now(UTC) + HOUR)

    assert run in Postponed().sweep()

    after = keeperless.read(run)
    assert after.scheduled is not None
    assert abs(after.scheduled - (datetime.now(UTC) + SOON)) < timedelta(seconds=20)
    assert run not in Postponed().sweep()


@pytest.mark.usefixtures("put_back")
def test_job_that_was_asked_for_with_a_delay_is_due_after_that_delay(keeperless: Keeperless) -> None:
    run = waiting(keeperless, "Scheduled", delay=SOON, told=datetime.now(UTC))

    assert run in Postponed().sweep()

    after = keeperless.read(run)
    assert after.scheduled is not None
    assert abs(after.scheduled - (datetime.now(UTC) - HOUR + SOON)) < timedelta(seconds=20)


def test_nothing_is_postponed_while_the_clock_runs_on(keeperless: Keeperless) -> None:
    kept = [waiting(keeperless, name, delay=SOON) for name in ("AwaitingRetry", "Scheduled")]
    kept += [waiting(keeperless, "AwaitingRetry", delay=HOUR, told=datetime.now(UTC))]
    # Of a wait before the one it is in.
    other = waiting(keeperless, "AwaitingRetry", delay=HOUR)
    ask(requests.label(other, Wait.until(datetime.now(UTC) + SOON, told=datetime.now(UTC)).label))
    kept += [other]

    assert not set(kept) & set(Postponed().sweep())


@pytest.mark.usefixtures("put_back")
def test_all_pages_are_judged_at_once_as_long_as_there_is_something_to_do(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponed, "PAGE", 2)
    made = {waiting(keeperless, "AwaitingRetry", delay=SOON) for _ in range(5)}

    assert made <= set(Postponed().sweep())
