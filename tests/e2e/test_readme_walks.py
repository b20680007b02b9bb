"""The README's walks, done by a script that reads the README: a job type of one's own, a failed job on the command line, and one in
Prefect's UI, in a real browser, by the controls of its newer version.

Danger: the UI is Prefect's and may change with it. What a newcomer reads is looked for by its words, not by its markup, where
that is possible.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright  # noqa: A004  (Playwright's own)

from tests.support.readme import Command, Meaning, blocks, commands, pressed, section, steps, typed
from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

CHROMIUM = shutil.which("chromium")
#: Seconds a page, a worker or the keeper may take on a busy machine.
PATIENCE = 120

OWN_JOB = section("A job type of your own")
FAILED_JOB = section("A job that failed").split("### ")[0]
IN_THE_UI = section("The same in the Prefect UI")
#: Commands that change nothing are asked again until the keeper has done its part.
_READING = ("redrive dead list", "redrive dead groups", "redrive dead show", "redrive jobs list")

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800), pytest.mark.soak]
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: as root, `make test` installs it")


class Newcomer:
    """Somebody who types what the README says, in a new project."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.meaning = Meaning()
        programs = stack.home.parent / "bin"
        programs.mkdir()
        redrive = programs / "redrive"
        redrive.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m redrive.infra.cli.main "$@"\n')
        redrive.chmod(0o755)
        self.env = stack.env | {"PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "200", "USER": "ada"}

    def type(self, line: str) -> str:
        """Run one command line; what came out."""
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.stack.project,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout

    def follow(self, command: Command) -> None:
        """Do one step of the text and see what it says come out."""
        line = self.meaning.meant(command.line)
        came = self.type(line)
        if line.startswith(_READING):

            def asked_again() -> bool:
                nonlocal came
                came = self.type(line)
                return self.meaning.fits(command.output, came)

            with suppress(AssertionError):
                wait_until(asked_again, PATIENCE, line)
        assert self.meaning.fits(command.output, came), f"the README says:\n{command.output}\n{line} says:\n{came}"

    def row(self, name: str, status: str) -> dict[str, Any] | None:
        rows = json.loads(self.type(f"redrive dead list --status {status} --json"))
        return next((row for row in rows if row["run_name"] == name), None)

    def fail(self, step: str) -> str:
        """Make a job fail as a step says; its run's name once it is in the ledger."""
        came = self.type(typed(step))
        assert "ended DeadLetter" in came, came
        name = came.split()[2]
        wait_until(lambda: self.row(name, "open"), PATIENCE, "the ledger to have it")
        return name


@pytest.fixture(scope="module")
def newcomer() -> Iterator[Newcomer]:
    """With the README's own job type, and the stack started as it says."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-walk-"))
    stack = LocalStack(folder / ".redrive")
    try:
        (program,) = blocks(OWN_JOB, "python")
        (folder / "my_jobs.py").write_text(program)
        newcomer = Newcomer(stack)
        newcomer.follow(commands(OWN_JOB)[0])
        yield newcomer
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_job_type_of_ones_own_runs_as_the_text_says(newcomer: Newcomer) -> None:
    start, *rest = commands(OWN_JOB)

    assert "redrive up" in start.line
    for command in rest:
        newcomer.follow(command)


def test_failed_job_is_seen_mended_and_run_again_as_the_text_says(newcomer: Newcomer) -> None:
    walk = commands(FAILED_JOB)

    assert len(walk) >= 5
    for command in walk:
        newcomer.follow(command)


@in_browser
# The older version, V1, and the review: test_review_in_browser.py.
@pytest.mark.parametrize("version", ["V2"])
def test_failed_job_is_understood_and_retried_in_the_ui(newcomer: Newcomer, version: str) -> None:
    step = steps(IN_THE_UI)
    remove(newcomer, "monday")
    name = newcomer.fail(step[1])

    with browser(newcomer) as page:
        press(page, "Runs")
        press(page, name)
        show(page, "Details")
        page.get_by_text("State Message").first.wait_for()
        page.get_by_text("dead letter: permanent error, not tried again").first.wait_for()
        press(page, "Artifacts")
        page.get_by_text("dead letter: permanent error").last.click()
        page.get_by_text("monday.csv does not exist").first.wait_for()
        newcomer.type(typed(step[3]))
        open_run(page, name)
        follow_controls(page, pressed(IN_THE_UI, version)["to retry"])

        row = wait_until(lambda: newcomer.row(name, "resolved"), PATIENCE, "the row to be resolved")
    assert row is not None
    assert row["redriven_by"] == "somebody in Prefect"


@contextmanager
def browser(newcomer: Newcomer) -> Iterator[Page]:
    """A browser in which somebody signed in at the printed address, with the text in the printed file."""
    settings = newcomer.stack.settings
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox for root.
        program = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = program.new_context(base_url=settings.ui_url, viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        try:
            page.goto("/")
            page.wait_for_url("**/v2/login**")
            page.locator("input").first.fill(settings.auth_string() or "")
            page.locator("button[type=submit]").first.click()
            page.get_by_role("link", name="Deployments").first.wait_for()
            yield page
        finally:
            program.close()


def control(page: Page, name: str) -> Locator:
    """What carries that name: a button, a tab, a link or an entry of a menu."""
    if name == "⋮":
        return page.get_by_role("button", name="Open menu")
    found = page.get_by_role("menuitem", name=name, exact=True)
    for role in ("tab", "button", "link"):
        found = found.or_(page.get_by_role(role, name=name, exact=True))  # type: ignore[arg-type]  # role is one of three literals
    return found.or_(page.locator("li.p-tab", has_text=name)).or_(page.locator(".p-overflow-menu-item", has_text=name))


def press(page: Page, name: str) -> None:
    control(page, name).locator("visible=true").first.click()


def follow_controls(page: Page, names: list[str]) -> None:
    """Press each in order. A page builds up in parts, and a click into what is replaced a moment later is lost: begin again then."""

    def done() -> bool:
        with suppress(TimeoutError):
            for number, name in enumerate(names):
                # What a press opened stands in front: the last of that name.
                target = control(page, name).locator("visible=true")
                (target.last if number else target.first).click(timeout=5_000)
            return True
        page.keyboard.press("Escape")
        return False

    wait_until(done, PATIENCE, f"{', '.join(names)} to be pressed")


def show(page: Page, name: str) -> None:
    """A part of the page, which is a tab where there is no room for it beside the others."""
    page.get_by_text(name, exact=True).or_(page.get_by_text("State Message")).first.wait_for()
    with suppress(TimeoutError):
        control(page, name).locator("visible=true").first.click(timeout=3_000)


def open_run(page: Page, name: str) -> None:
    page.go_back() if "artifact" in page.url else None
    page.get_by_text(name).first.wait_for()


def remove(newcomer: Newcomer, name: str) -> None:
    """As if the file had never come."""
    (newcomer.stack.settings.samples / "data" / f"{name}.csv").unlink(missing_ok=True)
