"""Harmless: an act pressed twice, a page that is old, back and reload after an act."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.runs import Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs import query
from redrive.deployments.jobs.query_language import parsed
from tests.support.console import PATIENCE, Consoles, in_browser
from tests.support.job_stack import effects
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def asked_for(name: str) -> int:
    """Jobs with that parameter."""
    found = query.page(parsed(f"job:test-ok param.name:{name}", SERVER_CLOCK.now(), jobs=("test-ok",), queues=()))
    return len(found.runs)


def test_enqueue_pressed_twice_makes_one_job_and_back_and_reload_make_none(consoles: Consoles) -> None:
    name, folder = f"twice-{uuid4().hex[:6]}", str(consoles.stack.folder("twice"))
    console = consoles.sign_in("bob", "operator")
    console.open("/types/test-ok")
    form = console.page.locator("form[hx-post='/types/test-ok/enqueue']")
    form.locator("[name='p.folder']").fill(folder)
    form.locator("[name='p.name']").fill(name)

    form.get_by_role("button", name="Enqueue").dblclick()

    console.page.wait_for_url("**/jobs/*")
    console.page.locator(".pill.completed").first.wait_for()
    assert asked_for(name) == 1
    console.page.reload()
    console.page.go_back()
    console.page.locator("form[hx-post='/types/test-ok/enqueue']").wait_for()
    console.page.go_forward()
    console.page.locator(".pill.completed").first.wait_for()
    assert asked_for(name) == 1


def test_redrive_pressed_twice_redrives_once(consoles: Consoles) -> None:
    folder = consoles.stack.folder("redriven-twice")
    job = enqueue("test-fail-once", {"folder": str(folder), "message": "pressed twice"}).id
    row = consoles.stack.dead_letter(job, timeout=PATIENCE)
    (folder / "mended").touch()
    console = consoles.sign_in("bob", "operator")
    console.open(f"/failures/{row.fingerprint}")

    console.row(str(job)[:8]).get_by_role("button", name="Redrive").dblclick()

    console.reads("Redriven: test-fail-once runs again")
    closed = consoles.stack.dead_letter(job, status="resolved", timeout=PATIENCE)
    assert closed.redrives == 1
    assert console.page.locator(".toast.bad").count() == 0


def test_page_that_is_old_acts_on_what_is_there_now_or_says_what_happened(consoles: Consoles) -> None:
    folder = consoles.stack.folder("old-page")
    job = enqueue("test-ok", {"folder": str(folder), "name": "late"}, delay=3600).id
    console = consoles.sign_in("bob", "operator")
    console.open(f"/jobs/{job}")
    console.page.evaluate("document.querySelector('[data-live]').dataset.paused = '1'")
    other = consoles.sign_in("ada", "operator")
    other.open(f"/jobs/{job}")
    other.press("Start now")
    wait_until(lambda: runs.by_id([job])[job].state_type == "COMPLETED", PATIENCE, "the job to complete")

    console.press("Start now")

    console.page.locator(".toast.bad").wait_for()
    console.reads(re.compile("Completed"))
    assert len(effects(folder, "late")) == 1
    assert not runs.count(Wanted(ids=[job], types=["SCHEDULED"], deployed=False))


@pytest.mark.slow
def test_row_that_moves_while_it_is_pressed_is_the_row_that_is_acted_on(consoles: Consoles) -> None:
    # given: three causes, and somebody who presses the second's button just as the first goes
    stack, name = consoles.stack, f"moves-{uuid4().hex[:6]}"
    folder = str(stack.folder("moves"))
    for letter in "abc":
        job = enqueue("test-many", {"folder": folder, "message": f"{name} {letter}"}).id
        stack.dead_letter(job, timeout=PATIENCE)
    console = consoles.sign_in("bob", "operator")
    console.open(f"/failures?text={name}")
    rows = console.page.locator("tr.row", has_text=name)
    first, second = rows.nth(0).locator(".error-text").inner_text(), rows.nth(1)
    message = second.locator(".error-text").inner_text()
    second.get_by_role("button", name="Redrive").hover()
    console.page.mouse.down()

    with stack.ledger() as ledger:
        ledger.discard_all(Filter(status="open", job="test-many", text=first), who="grace", why="it moves")
    console.page.evaluate(
        "async () => { document.body.dispatchEvent(new Event('changed')); await (await fetch(location)).text(); }"
    )
    console.page.mouse.up()

    # then: the dialog names what was pressed, and the list follows
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_text(message).wait_for()
    console.row(first).wait_for(state="detached")
    console.press(re.compile("^Redrive 1"), within=dialog)
    dialog.wait_for(state="detached")
    with stack.ledger() as ledger:
        pressed = ledger.find(Filter(job="test-many", text=message), limit=1).rows[0]
        assert ledger.bulk_acts.latest(limit=1)[0].filter.causes == (pressed.fingerprint,)
