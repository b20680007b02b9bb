"""Schedules: somebody sees when each starts next, in its own time zone, and what it missed; pauses one, and starts its job now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import deployments
from redrive.blocks.prefect.requests import runs as requests
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.queues import pause_queue
from redrive.deployments.schedules import list_schedules, set_schedule
from tests.support.console import PATIENCE, Consoles, in_browser
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


@contextmanager
def missed(stack: JobStack, job: str) -> Iterator[UUID]:
    """A start of the job's schedule five minutes ago that no worker could take."""
    there = ask(deployments.named(job, job))
    pause_queue("low", paused=True)
    run = UUID(
        ask(requests.create(there["id"], {"work_queue_name": "low", "idempotency_key": f"missed {uuid4()}"}))["id"]
    )
    change = "UPDATE flow_run SET next_scheduled_start_time = now() - interval '5 minutes', auto_scheduled = true WHERE id = %s"
    with psycopg.connect(stack.settings.prefect_database_url().replace("+asyncpg", "", 1)) as database:
        database.execute(change.encode(), [run])
    try:
        yield run
    finally:
        cancel_job(run)
        pause_queue("low", paused=False)


def test_schedule_is_paused_resumed_and_started_now(consoles: Consoles) -> None:
    console = consoles.sign_in("bob", "operator")
    console.open("/schedules")
    row = console.row("reports")
    assert "Europe/London" in row.inner_text()
    (known,) = [one for one in list_schedules() if one.job == "reports"]
    assert f"{known.next[0].astimezone(ZoneInfo('Europe/London')):%a %H:%M}" in row.inner_text()
    try:
        console.press("Pause", within=row)
        console.reads("The schedule of reports is paused")
        row.locator(".pill.paused").locator("visible=true").wait_for()
        assert not next(one for one in list_schedules() if one.job == "reports").active
        console.press("Resume", within=row)
        row.locator(".pill.good").wait_for()
    finally:
        if not next(one for one in list_schedules() if one.job == "reports").active:
            with consoles.stack.acting() as somebody:
                set_schedule(known.id, active=True, by=somebody)

    console.press("Run now", within=row)

    console.reads("A job of reports was asked for now")
    console.page.locator(".toast a").click()
    console.page.wait_for_url("**/jobs/*")
    console.page.get_by_role("heading", name="reports").wait_for()
    console.open("/audit")
    console.row("schedule pause").wait_for()
    console.row("schedule run").wait_for()


def test_start_that_nobody_took_is_shown_as_missed_with_its_reason(consoles: Consoles) -> None:
    with missed(consoles.stack, "reports") as run:
        console = consoles.sign_in("bob", "viewer")
        row = console.row("reports")

        def shown() -> int:
            console.open("/schedules")
            return row.locator(".pill.late").count()

        # What was read a moment before, in another test, is shared for some seconds.
        wait_until(shown, PATIENCE, "it to be shown as missed")

        assert "missed" in row.inner_text()
        row.get_by_role("link", name="missed").click()
        console.page.wait_for_url(f"**/jobs/{run}")
        console.reads("queue 'low' is paused")
    assert runs.by_id([run])[run].state_name == "Cancelled"
