"""After the server's clock was put back, what waits is due when it was meant to be, not when the old time comes again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.prefect.server_clock import ServerClock
from redrive.infra.keeper import postponed
from redrive.infra.keeper.postponed import Postponed
from tests.support.keeperless import Keeperless

HOUR = timedelta(hours=1)
SOON = timedelta(seconds=90)


def waiting(keeperless: Keeperless, name: str, *, delay: timedelta) -> UUID:
    """A run that waits in a state of that name and is due after a delay."""
    body: dict[str, Any] = {"type": "SCHEDULED", "name": name, "message": "try 1 of 3 failed"}
    body["state_details"] = {"scheduled_time": (datetime.now(UTC) + delay).isoformat()}
    return keeperless.run(keeperless.deployment("jobs"), state=body)


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


def test_nothing_is_postponed_while_the_clock_runs_on(keeperless: Keeperless) -> None:
    kept = [waiting(keeperless, name, delay=SOON) for name in ("AwaitingRetry", "Scheduled")]

    assert not set(kept) & set(Postponed().sweep())


@pytest.mark.usefixtures("put_back")
def test_all_pages_are_judged_at_once_as_long_as_there_is_something_to_do(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponed, "PAGE", 2)
    made = {waiting(keeperless, "AwaitingRetry", delay=SOON) for _ in range(5)}

    assert made <= set(Postponed().sweep())
