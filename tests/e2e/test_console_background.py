"""Background: work of every family is asked for by the console's forms and from a program, and completes on its queue, by priority."""

from __future__ import annotations

import re
from functools import partial
from uuid import UUID

import pytest

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.runs import Wanted
from redrive.deployments.enqueue import enqueue
from tests.support.console import PATIENCE, Console, Consoles, in_browser
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def ask(console: Console, job: str, **parameters: str) -> UUID:
    """Ask for a job by the form of its type's page; the job's id."""
    console.open(f"/types/{job}")
    form = console.page.locator(f"form[hx-post='/types/{job}/enqueue']")
    for name, value in parameters.items():
        field = form.locator(f"[name='{name}']")
        if field.evaluate("node => node.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    console.press("Enqueue", within=form)
    console.page.wait_for_url("**/jobs/*")
    return UUID(console.page.url.rpartition("/")[2])


def completed(console: Console, job_id: UUID) -> None:
    console.open(f"/jobs/{job_id}")
    console.page.locator(".pill.completed").first.wait_for()


@pytest.mark.slow
def test_four_families_are_asked_for_by_form_and_by_program_and_complete(consoles: Consoles) -> None:
    console = consoles.sign_in("bob", "operator")

    sync = ask(console, "sync", queue="high")
    documents = enqueue("documents").id
    completed(console, sync)
    assert console.figure("Queue") == "high"
    reports = ask(console, "reports")
    completed(console, reports)
    mail = enqueue("mail").id
    for job_id in (documents, mail):
        completed(console, job_id)


def test_higher_queues_start_first_when_slots_are_scarce(consoles: Consoles) -> None:
    holding, folder = consoles.stack.folder("holding"), str(consoles.stack.folder("priority"))
    slots = consoles.stack.settings.slots
    for _ in range(slots):
        enqueue("test-ok", {"folder": str(holding), "seconds": 300})
    console = consoles.sign_in()
    busy = Wanted(types=["RUNNING"], pools=["jobs"], deployed=False)
    wait_until(lambda: runs.count(busy) >= slots, PATIENCE, "the slots to be busy")

    asked = [
        enqueue("test-ok", {"folder": folder, "seconds": 2}, queue=queue).id for queue in ("low", "low", "high", "high")
    ]

    console.open(f"/jobs/{asked[0]}")
    console.reads("Why isn't this running?")
    console.reads(re.compile("slots of .* are busy"))
    (holding / "enough").touch()
    ended = {one: wait_until(partial(_ended, one), PATIENCE, f"{one} to complete") for one in asked}
    starts = [ended[one].start_time for one in asked]
    assert max(starts[2:]) <= min(starts[:2])


def _ended(job_id: UUID) -> object:
    run = runs.by_id([job_id]).get(job_id)
    return run if run is not None and run.state_type == "COMPLETED" else None
