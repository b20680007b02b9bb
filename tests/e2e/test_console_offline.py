"""Offline: what the console says and still knows while a server is away, and that nothing shown as done is lost afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from redrive.deployments.enqueue import enqueue
from tests.support.console import PATIENCE, Consoles, in_browser
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


@contextmanager
def frozen(stack: JobStack, component: str) -> Iterator[None]:
    """A component that does not answer, with all its processes."""
    process = psutil.Process(stack.component(component)["pid"])
    family = [process, *process.children(recursive=True)]
    try:
        for one in family:
            one.suspend()
        yield
    finally:
        for one in family:
            if one.is_running():
                one.resume()


def test_prefect_that_is_unavailable_is_reported_and_what_is_known_stays(consoles: Consoles) -> None:
    console = consoles.sign_in("bob", "operator")
    console.row("default").wait_for()
    folder = str(consoles.stack.folder("away"))
    job, other = (enqueue("test-ok", {"folder": folder}, delay=3600) for _ in range(2))
    dead = enqueue("test-many", {"folder": folder, "message": "what the ledger knows of it"})
    consoles.stack.dead_letter(dead.id)
    console.open(f"/jobs/{job.id}")
    console.reads("it is not due before")
    console.open("/jobs?q=state:scheduled")
    console.row(str(job.id)[:8]).wait_for()
    console.open("/")

    with frozen(consoles.stack, "prefect"):
        # What, since when, and what it means.
        console.reads(re.compile(r"Prefect's API is unavailable · (\d+ s ago|just now)"))
        console.reads("Jobs that run go on; nothing new starts")
        assert console.row("default").is_visible()
        console.keep("offline-prefect-overview")
        console.open("/failures")
        console.page.get_by_role("heading", name="Failures").wait_for()
        # Pages that were read before stay, with their time; one that was not says what it would need.
        console.open(f"/jobs/{job.id}")
        console.reads(re.compile(r"What this page shows of it was read \d+ (s|m) ago"))
        assert console.page.get_by_role("heading", name="test-ok").is_visible()
        assert console.page.get_by_text(folder).first.is_visible()
        console.keep("offline-prefect-job")
        console.open("/jobs?q=state:scheduled")
        console.reads("Prefect's API is unavailable")
        assert console.row(str(job.id)[:8]).is_visible()
        console.open("/jobs?q=state:cancelled")
        console.reads("Nobody looked at these jobs before")
        console.keep("offline-prefect-jobs-new")
        console.open(f"/jobs/{dead.id}")
        console.reads("ValueError: what the ledger knows of it")
        console.reads("What stands here is what the ledger has of it")
        console.keep("offline-prefect-job-of-the-ledger")
        console.open(f"/jobs/{other.id}")
        console.page.get_by_role("heading", name="Prefect's API is unavailable").wait_for()
        console.keep("offline-prefect-job-new")

    wait_until(lambda: consoles.stack.component("prefect")["healthy"], PATIENCE, "Prefect to answer again")
    console.press("Try again")
    console.page.get_by_role("heading", name="test-ok").wait_for()
    console.open("/")
    wait_until(
        lambda: not console.page.get_by_text("Prefect's API is unavailable").is_visible(), PATIENCE, "the banner to go"
    )


@pytest.mark.slow
def test_database_that_is_unavailable_is_reported_and_no_act_is_shown_as_done_that_was_not(consoles: Consoles) -> None:
    job = enqueue(
        "test-many", {"folder": str(consoles.stack.folder("no-ledger")), "message": "while the ledger sleeps"}
    )
    row = consoles.stack.dead_letter(job.id)
    console = consoles.sign_in("bob", "operator")
    console.open("/failures")
    console.row("while the ledger sleeps").wait_for()
    console.open(f"/failures/{row.fingerprint}")
    console.row(str(job.id)[:8]).wait_for()
    console.page.evaluate("document.querySelector('[data-live]').dataset.paused = '1'")

    with frozen(consoles.stack, "postgres"):
        console.press("Redrive", within=console.row(str(job.id)[:8]))
        console.page.locator(".toast.bad").wait_for()
        console.open("/")
        console.reads(re.compile(r"The ledger is unavailable · (\d+ s ago|just now)"))
        console.reads("Failures are kept with their jobs until it is back")
        console.reads("Failures open")
        console.keep("offline-ledger-overview")
        console.open("/failures")
        console.reads(re.compile(r"What this page shows of it was read \d+ (s|m) ago"))
        assert console.row("while the ledger sleeps").is_visible()
        console.keep("offline-ledger-failures")
        console.open(f"/failures/{row.fingerprint}")
        console.reads("The ledger is unavailable")
        assert console.row(str(job.id)[:8]).is_visible()

    wait_until(lambda: consoles.stack.status()["healthy"], PATIENCE, "the stack to be healthy")
    assert consoles.stack.dead_letter(job.id).redrives == 0
    console.open(f"/failures/{row.fingerprint}")
    console.press("Redrive", within=console.row(str(job.id)[:8]))
    console.reads("Redriven: test-many runs again")
    wait_until(lambda: consoles.stack.dead_letter(job.id).redrives == 1, PATIENCE, "the redrive to be in the ledger")


@pytest.mark.soak
def test_keeper_that_is_unavailable_is_reported_with_what_it_means(consoles: Consoles) -> None:
    """Late is what nobody did for two minutes."""
    console = consoles.sign_in(role="viewer")
    with frozen(consoles.stack, "keeper"):
        console.reads("The keeper is late", timeout=240)
        console.reads(re.compile(r"not done for \d+ (s|min), since \d{4}-"))
        console.keep("offline-keeper-overview")


def test_console_that_is_unavailable_is_reported_by_the_page_that_is_open(consoles: Consoles) -> None:
    console = consoles.sign_in(role="viewer")
    console.row("default").wait_for()

    with frozen(consoles.stack, "console"):
        console.reads("the console could not read anything newer")
        console.keep("offline-console-overview")

    wait_until(lambda: consoles.stack.component("console")["healthy"], PATIENCE, "the console to answer again")
    wait_until(lambda: not console.page.locator("#stale").is_visible(), PATIENCE, "the banner to go")
