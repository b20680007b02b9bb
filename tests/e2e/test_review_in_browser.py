"""The walk through the older version (V1) of Prefect's UI, clicked in a real browser: why did it fail, mend it, retry it; answer a review.

Danger: the UI is Prefect's and may change with it. What a newcomer reads is looked for by its words, not by its markup, where
that is possible.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright  # noqa: A004  (Playwright's own)

from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

CHROMIUM = shutil.which("chromium")
SAMPLE = Path(__file__).parents[2] / "flows" / "samples" / "data" / "seattle-weather.csv"

#: Seconds a page, a worker or the keeper may take on a busy machine.
PATIENCE = 120

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: as root, `make test` installs it"),
]


@pytest.fixture
def page(stack: LocalStack) -> Iterator[Page]:
    """A browser that is logged in to the stack's Prefect."""
    login = json.dumps(stack.settings.auth_string() or "")
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox for root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(base_url=stack.settings.ui_url, viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE * 1000)
        context.add_init_script(f"localStorage.setItem('prefect-password', btoa({login}))")
        yield context.new_page()
        browser.close()


def failed_sync(stack: LocalStack, source: Path) -> str:
    """Name of a run that is dead because its source is missing."""
    table = source.stem.replace("-", "_")
    said = stack.command("enqueue", "sync", "-p", f"source={source}", "-p", f"table={table}", "--wait", check=False)
    assert "ended DeadLetter" in said.stdout
    name = said.stdout.split()[2]
    wait_until(lambda: row_of(stack, name, "open"), PATIENCE, "the ledger to have it")
    return name


def row_of(stack: LocalStack, name: str, status: str) -> dict[str, Any] | None:
    rows = json.loads(stack.command("dead", "list", "--status", status, "--json").stdout)
    return next((row for row in rows if row["run_name"] == name), None)


def tab(page: Page, name: str) -> Locator:
    return page.locator("li.p-tab", has_text=name)


def test_dead_job_is_understood_and_retried_by_clicking(stack: LocalStack, page: Page, tmp_path: Path) -> None:
    source = tmp_path / "monday.csv"
    name = failed_sync(stack, source)

    page.goto("/runs")
    page.get_by_role("link", name=name).first.click()
    tab(page, "Details").click()
    page.get_by_text("dead letter: permanent error, not tried again").first.wait_for()
    tab(page, "Artifacts").click()
    page.get_by_text("dead letter: permanent error").last.click()
    page.get_by_text("monday.csv does not exist").first.wait_for()
    shutil.copy(SAMPLE, source)
    page.goto("/runs")
    page.get_by_role("link", name=name).first.click()
    # The page builds up in parts, and a click into what is replaced a moment later is lost.
    tab(page, "Details").click()
    page.get_by_text("dead letter: permanent error, not tried again").first.wait_for()
    dialogue(page, "Retry").get_by_role("button", name="Retry").click()

    page.get_by_text("Completed", exact=True).first.wait_for()
    row = wait_until(lambda: row_of(stack, name, "resolved"), PATIENCE, "the row to be resolved")
    assert row is not None
    assert row["redriven_by"] == "somebody in Prefect"


def test_review_is_answered_in_its_form(stack: LocalStack, page: Page, tmp_path: Path) -> None:
    source = tmp_path / "tuesday.csv"
    name = failed_sync(stack, source)
    shutil.copy(SAMPLE, source)

    page.goto("/deployments")
    page.locator("a[href*='/deployments/deployment/']", has_text="dead-letter-review").first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Quick run").click()
    page.locator(".p-list-item", has_text="Suspended").locator("a[href*='/runs/flow-run/']").first.click()
    form = dialogue(page, "Resume")
    form.get_by_text(re.compile(r"\d open dead letters? of \d causes?")).wait_for()
    field(form, "Who decides").fill("ada")
    field(form, "Do what").fill("redrive")
    field(form, "Why").fill("the file has arrived")
    form.get_by_role("button", name="Submit").click()

    page.get_by_text("Completed", exact=True).first.wait_for()
    row = wait_until(lambda: row_of(stack, name, "resolved"), PATIENCE, "the row to be resolved")
    assert row is not None
    assert (row["redriven_by"], row["redriven_why"]) == ("ada", "the file has arrived")


def dialogue(page: Page, name: str) -> Locator:
    """What a button opens. The page builds up in parts, and a click into what is replaced a moment later is lost: click again."""
    opened = page.locator(".p-modal")

    def is_open() -> bool:
        if not opened.is_visible():
            page.get_by_role("button", name=name, exact=True).first.click()
        with suppress(TimeoutError):
            opened.wait_for(timeout=5_000)
            return True
        return False

    wait_until(is_open, PATIENCE, f"{name} to open its dialogue")
    return opened


def field(form: Locator, title: str) -> Locator:
    return form.locator(".schema-form-property", has=form.page.get_by_text(title)).last.locator("textarea")
