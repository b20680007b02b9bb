"""Retry: somebody follows a failing job through its tries, does not wait for the next one, and sees it succeed."""

from __future__ import annotations

import pytest

from redrive.deployments.enqueue import enqueue
from redrive.deployments.queues import pause_queue
from tests.support.console import PATIENCE, Consoles, in_browser
from tests.support.job_stack import effects
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def test_failing_job_shows_its_try_and_the_next_one_and_is_retried_at_once(consoles: Consoles) -> None:
    folder = consoles.stack.folder("retried")
    console = consoles.sign_in()
    # Time enough to be read: nobody is to be quicker than a machine.
    with consoles.stack.overridden("test-flaky", backoff=[1.0, 120.0]):
        job = enqueue("test-flaky", {"folder": str(folder), "good_at": 3})
        console.open(f"/jobs/{job.id}")
        console.page.locator(".pill.retrying").wait_for()

    assert console.figure("Try") == "2 of 3"
    assert console.figure("Next try").startswith("in ")
    console.reads("Why isn't this running?")
    console.reads("it waits for its next try")
    console.press("Retry now")
    console.page.locator(".pill.completed").first.wait_for()
    assert len(effects(folder, "flaky")) == 3
    console.reads("asked for by ada")


def test_dead_job_is_redriven_by_its_page_and_its_row_closes_by_itself(consoles: Consoles) -> None:
    folder = consoles.stack.folder("redriven")
    job = enqueue("test-fail-once", {"folder": str(folder), "message": "the lid is closed"})
    consoles.stack.dead_letter(job.id)
    console = consoles.sign_in("bob", "operator")
    console.open(f"/jobs/{job.id}")
    (folder / "mended").touch()

    console.press("Redrive")
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_label("Reason").fill("the lid is open")
    console.press("Redrive", within=dialog)

    console.page.locator(".pill.completed").first.wait_for()
    row = consoles.stack.dead_letter(job.id, status="resolved")
    assert (row.redriven_by, row.redriven_why) == ("bob", "the lid is open")
    console.reads("by bob")


def test_waiting_job_is_cancelled_with_a_reason_that_stays(consoles: Consoles) -> None:
    job = enqueue("test-ok", {"folder": str(consoles.stack.folder("cancelled"))}, delay=3600)
    console = consoles.sign_in("bob", "operator")
    console.open(f"/jobs/{job.id}")

    console.press("Cancel")
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_label("Reason").fill("asked for twice")
    console.press("Cancel the job", within=dialog)

    console.page.locator(".pill.cancelled").wait_for()
    console.reads("cancelled by bob: asked for twice")
    console.open("/audit")
    assert "asked for twice" in console.row("cancel").inner_text()


def test_of_two_people_on_one_row_one_wins_and_the_other_learns_who(consoles: Consoles) -> None:
    folder = consoles.stack.folder("both")
    job = enqueue("test-many", {"folder": str(folder), "message": "two people look at this one"})
    row = consoles.stack.dead_letter(job.id)
    ada, bob = consoles.sign_in("ada", "operator"), consoles.sign_in("bob", "operator")
    for one in (ada, bob):
        one.open(f"/failures/{row.fingerprint}")
        one.row(str(job.id)[:8]).wait_for()
        # A page that somebody left open: it does not read itself anew.
        one.page.evaluate("document.querySelector('[data-live]').dataset.paused = '1'")

    # The worker is not to be quicker than the second of them.
    pause_queue("default", paused=True)
    bob.press("Redrive", within=bob.row(str(job.id)[:8]))
    bob.reads("Redriven: test-many runs again")
    ada.press("Redrive", within=ada.row(str(job.id)[:8]))

    ada.page.locator(".toast.bad").wait_for()
    said = ada.page.locator(".toast.bad").inner_text()
    pause_queue("default", paused=False)
    assert "cannot be redriven: it is redriven by bob" in said
    wait_until(lambda: consoles.stack.dead_letter(job.id), PATIENCE, "the job to be dead again")
