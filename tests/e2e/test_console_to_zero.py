"""From red to green: somebody who has never seen the console takes many failed jobs of three causes to zero."""

from __future__ import annotations

import re
import time

import pytest

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue_many
from tests.support.console import Consoles, in_browser
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser, pytest.mark.timeout(1800)]

#: The issue's own numbers.
CLICKS, SECONDS = 12, 180


@pytest.mark.parametrize("many", [20, pytest.param(1000, marks=pytest.mark.soak)])
def test_failed_jobs_of_three_causes_go_to_zero_in_few_clicks(consoles: Consoles, many: int) -> None:
    # given: three causes, the first the largest, one of its jobs with a parameter that is wrong
    stack = consoles.stack
    broken, fixed = stack.folder("broken"), stack.folder("fixed")
    (fixed / "mended").touch()
    causes = {
        "the mail server refuses": many * 6 // 10,
        "the file is not there": many * 3 // 10,
        "no space left": many // 10,
    }
    for message, number in causes.items():
        enqueue_many("test-many", [{"folder": str(broken), "message": message}] * number)

    def open_now(text: str) -> int:
        with stack.ledger() as ledger:
            return ledger.count(Filter(status="open", job="test-many", text=text))

    for message, number in causes.items():
        wait_until(lambda m=message, n=number: open_now(m) >= n, 600, f"{number} failures: {message}")
    console = consoles.sign_in("grace")
    console.reads("Open failures by cause")
    console.keep(f"zero-{many}-1-overview")
    began = time.monotonic()

    # when: the largest cause is found, one job of it is fixed
    console.press("Failures")
    console.keep(f"zero-{many}-2-failures")
    largest = console.row("the mail server refuses")
    largest.locator("a.main").click()
    console.clicks += 1
    console.press("Edit")
    console.page.locator("[name='p.folder']").fill(str(fixed))
    console.reads(re.compile("What changes"))
    console.page.locator(".difference .plus").wait_for()
    console.keep(f"zero-{many}-3-edit")
    console.press("Redrive with these")
    console.reads("It runs again with what you changed")
    # the cause is put right, and the rest redriven at a pace
    (broken / "mended").touch()
    console.press(re.compile("^Redrive all"))
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_label("Pace").fill("20/s")
    dialog.get_by_label("Reason").fill("the server takes mail again")
    console.press(re.compile("^Redrive"), within=dialog)
    console.reads(re.compile("Redriving"))
    console.keep(f"zero-{many}-4-cause")
    # another is discarded with a reason, and the third redriven
    console.press("Failures")
    for message, act, why in (
        ("the file is not there", "Discard", "the customer sent it again"),
        ("no space left", "Redrive", "the disk is larger now"),
    ):
        console.press(act, within=console.row(message))
        dialog = console.page.locator("dialog[open]")
        dialog.get_by_text(message).wait_for()
        dialog.get_by_label("Reason").fill(why)
        console.press(re.compile(f"^{act}"), within=dialog)
        console.page.locator("dialog[open]").wait_for(state="detached")
    seconds = time.monotonic() - began

    # then: few clicks, little time, and nothing is open
    assert console.clicks < CLICKS
    assert seconds < SECONDS
    for message in causes:
        wait_until(lambda m=message: not open_now(m), 600, f"nothing to be open of: {message}")
    at_zero = time.monotonic() - began
    with stack.ledger() as ledger:
        discarded = ledger.find(
            Filter(job="test-many", status="discarded", text="the file is not there"), limit=1
        ).rows[0]
    assert (discarded.closed_by, discarded.closed_why) == ("grace", "the customer sent it again")
    console.open("/acts")
    console.keep(f"zero-{many}-5-acts")
    print(f"{many} failed jobs: {console.clicks} clicks in {seconds:.1f} s, nothing open after {at_zero:.1f} s")


@pytest.mark.slow
def test_bulk_act_goes_on_after_the_console_was_killed_and_stops_when_told(consoles: Consoles) -> None:
    stack = consoles.stack
    folder = stack.folder("long-act")
    enqueue_many("test-many", [{"folder": str(folder), "message": "a bulk act over a restart"}] * 6)

    def open_rows() -> int:
        with stack.ledger() as ledger:
            return ledger.count(Filter(status="open", job="test-many", text="a bulk act over a restart"))

    wait_until(lambda: open_rows() == 6, 120, "the failures")
    (folder / "mended").touch()
    console = consoles.sign_in("grace", "operator")
    console.open("/failures?text=a+bulk+act+over+a+restart")
    console.press("Redrive", within=console.row("a bulk act over a restart"))
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_label("Pace").fill("15/m")
    console.press(re.compile("^Redrive"), within=dialog)
    console.press("Watch it")
    wait_until(lambda: open_rows() < 6, 60, "the first to be redriven")

    stack.kill("console")

    wait_until(lambda: stack.component("console")["healthy"], 90, "the console to be back")
    left = open_rows()
    wait_until(lambda: open_rows() < left, 90, "the act to go on")
    console.page.reload()
    if open_rows():
        console.press("Stop")
        console.reads(re.compile("stopped by grace|acted on by others|done"))
