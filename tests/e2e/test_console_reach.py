"""The console for everybody: by keyboard, by screen reader, in the dark, on a phone; and nothing on a page that the policy forbids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from tests.support.console import Console, Consoles, in_browser

pytestmark = [pytest.mark.stack, in_browser]

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PAGES = (
    "/",
    "/jobs",
    "/failures",
    "/slow",
    "/acts",
    "/schedules",
    "/types",
    "/types/test-fail-once",
    "/audit",
    "/runbooks",
)
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def pages(consoles: Consoles) -> tuple[str, ...]:
    """Every page, those of a dead job among them, with an error of 200 characters."""
    message = "the relay of the mail server refused the connection since its certificate expired yesterday; " * 3
    job = enqueue("test-fail-once", {"folder": str(consoles.stack.folder("reach")), "message": message[:220]})
    row = consoles.stack.dead_letter(job.id)
    waiting = enqueue("test-ok", {"folder": str(consoles.stack.folder("reach"))}, delay=3600)
    with consoles.stack.ledger() as ledger:
        known = Filter(causes=(row.fingerprint,))
        act = ledger.bulk_acts.ask("discard", known, who="ada", why="a picture of an act", rate=None, wanted=1)
        ledger.bulk_acts.end(act.id, "stopped", "stopped by ada")
    others = (
        "/jobs?q=state:ded",
        "/jobs?q=name:nothing-like-this",
        "/failures?text=nothing+like+this",
        "/nothing-here",
    )
    jobs = (f"/jobs/{waiting.id}", f"/jobs/{job.id}", f"/jobs/{job.id}/edit")
    return (*PAGES, *others, f"/acts/{act.id}", *jobs, f"/failures/{row.fingerprint}")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(consoles: Consoles, pages: tuple[str, ...], scheme: Any) -> None:
    # The checker itself is a script that the policy would refuse.
    console = consoles.sign_in(color_scheme=scheme, bypass_csp=True)
    stranger = consoles.window(color_scheme=scheme, bypass_csp=True)
    found = {}
    for path in (*pages, "/sign-in"):
        window = stranger if path == "/sign-in" else console
        window.open(path)
        settled(window)
        found[path] = complaints(window)
    # What opens over a page: each dialog, and the keys.
    console.open(pages[-1])
    for opener in ("redrive", "discard", "keys"):
        console.page.evaluate(f"document.getElementById('{opener}').showModal()")
        found[opener] = complaints(console)
        console.page.evaluate(f"document.getElementById('{opener}').close()")
    assert not {path: each for path, each in found.items() if each}


def settled(window: Console) -> None:
    window.page.locator("h1").first.wait_for()
    if window.page.locator("#why-said").count():
        window.page.locator("#why-said .why").wait_for()


def complaints(window: Console) -> list[tuple[str, str]]:
    """What axe finds on a page as it is."""
    if not window.page.evaluate("'axe' in window"):
        window.page.add_script_tag(path=AXE)
    answer = window.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(one["id"], one["nodes"][0]["html"][:120]) for one in answer["violations"]]


def test_nothing_on_a_page_moves_once_it_is_there(consoles: Consoles, pages: tuple[str, ...]) -> None:
    """Chromium's own measure: 0.1 counts as good, and what comes later has its place kept."""
    console = consoles.sign_in()
    console.page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => { for (const one of list.getEntries()) if (!one.hadRecentInput) "
        "window.moved += one.value; }).observe({type: 'layout-shift', buffered: true});"
    )
    moved = {}
    for path in pages:
        console.open(path)
        settled(console)
        console.page.wait_for_load_state("load")
        moved[path] = round(console.page.evaluate("window.moved"), 3)
    assert not {path: value for path, value in moved.items() if value > 0.1}, moved


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desktop"])
def test_no_page_is_wider_than_its_window(consoles: Consoles, pages: tuple[str, ...], size: Any, scheme: Any) -> None:
    console = consoles.sign_in(viewport=size, color_scheme=scheme)
    for number, path in enumerate(pages):
        console.open(path)
        settled(console)
        console.keep(f"page-{number:02}-{scheme}-{size['width']}")
        assert console.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_failures_are_worked_through_by_keyboard(consoles: Consoles, pages: tuple[str, ...]) -> None:
    console = consoles.sign_in("ada", "operator")
    keyboard = console.page.keyboard
    console.open(pages[-1])

    keyboard.press("?")
    console.reads("these keys")
    keyboard.press("Escape")
    console.page.locator("dialog[open]").wait_for(state="detached")
    keyboard.press("j")
    assert console.page.locator("tr.row[aria-selected='true']").count() == 1
    keyboard.press("x")
    assert console.page.locator("tr.row[aria-selected='true'] input:checked").count() == 1
    keyboard.press("Enter")
    console.page.wait_for_url("**/jobs/**")
    keyboard.press("r")
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_label("Reason").wait_for()
    keyboard.press("Escape")
    dialog.wait_for(state="detached")
    console.open("/jobs")
    keyboard.press("/")
    keyboard.type("state:de")
    keyboard.press("Tab")
    assert console.page.get_by_role("combobox", name="Filter jobs").input_value() == "state:dead "
