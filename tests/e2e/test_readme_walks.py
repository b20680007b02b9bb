"""The README's walks, done by a script that reads the README: a job type of one's own, a failed job on the command line, and in
Prefect's UI, in a real browser, by the controls of both its versions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.prefect_ui import CHROMIUM, PATIENCE, PrefectUI, signed_in
from tests.support.readme import ROOT, Command, Meaning, blocks, commands, controls, pressed, section, steps, typed
from tests.support.stack import INTERRUPTIBLE, LocalStack
from tests.support.waiting import wait_until

OWN_JOB = section("A job of your own in ten lines")
FAILED_JOB = section("A job that failed")
IN_THE_UI = section("The same in the Prefect UI", ROOT / "deployments" / "dead_letters" / "README.md")
#: Commands that change nothing are asked again until the keeper has done its part.
_READING = ("redrive dead list", "redrive dead groups", "redrive dead show", "redrive jobs list")

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
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

    def resolved(self, name: str) -> dict[str, Any]:
        """The row of a job once it is resolved."""
        row = wait_until(lambda: self.row(name, "resolved"), PATIENCE, "the row to be resolved")
        assert row is not None
        return row

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
        program, _ = blocks(OWN_JOB, "python")
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


def test_job_is_asked_for_by_its_function_as_the_text_says(newcomer: Newcomer) -> None:
    _, usage = blocks(OWN_JOB, "python")
    (newcomer.stack.project / "usage.py").write_text(usage)

    came = newcomer.type(f'eval "$(redrive env)"; {sys.executable} usage.py')

    assert came == "Hello, Ada!\n"
    (later,) = json.loads(newcomer.type("redrive jobs list --job greet --state scheduled --json"))
    assert later["queue"] == "low"


@pytest.mark.slow
def test_changed_code_is_taken_up_while_its_log_is_followed(newcomer: Newcomer) -> None:
    newcomer.type("redrive new job shout")
    log = newcomer.stack.project / "dev.log"
    with log.open("w") as output:
        dev = subprocess.Popen(
            [*INTERRUPTIBLE, str(newcomer.stack.home.parent / "bin" / "redrive"), "dev", "shout.py"],
            cwd=newcomer.stack.project,
            env=newcomer.env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "following the log" in log.read_text(), PATIENCE, "the stack to have the new job")
        with (newcomer.stack.project / "shout.py").open("a") as file:
            file.write("\n\n@job\ndef whisper() -> None:\n    print('psst')\n")
        wait_until(lambda: "whisper" in log.read_text(), PATIENCE, "the changed code to be registered")
        assert "ended Completed" in newcomer.type("redrive enqueue whisper --wait")
        wait_until(lambda: re.search(r"whisper [a-z-]+  psst", log.read_text()), PATIENCE, "the job's log")
    finally:
        dev.send_signal(signal.SIGINT)
        assert dev.wait(PATIENCE) == 0, log.read_text()


def test_failed_job_is_seen_fixed_and_run_again_as_the_text_says(newcomer: Newcomer) -> None:
    walk = commands(FAILED_JOB)

    assert len(walk) >= 5
    for command in walk:
        newcomer.follow(command)


@in_browser
@pytest.mark.parametrize("version", ["V2", "V1"])
@pytest.mark.slow
def test_failed_job_is_understood_and_retried_in_the_ui(newcomer: Newcomer, version: str) -> None:
    step = steps(IN_THE_UI)
    remove(newcomer, "monday")
    name = newcomer.fail(step[1])

    # Whoever opens a printed link without being signed in comes to the run all the same.
    link = json.loads(newcomer.type(f"redrive jobs show {name} --json"))["url"]
    with signed_in(newcomer.stack.settings, link) as ui:
        ui.read(name)
        choose(ui, version)
        ui.press("Runs")
        ui.press(name)
        ui.show("Details")
        ui.read("dead letter: permanent error, not tried again")
        ui.press("Artifacts")
        ui.page.get_by_text("dead letter: permanent error").locator("visible=true").last.click()
        ui.read("monday.csv does not exist")
        newcomer.type(typed(step[3]))
        ui.press("Runs")
        ui.press(name)
        ui.press(*pressed(IN_THE_UI, version)["to retry"])

        row = newcomer.resolved(name)
    assert row["redriven_by"] == "somebody in Prefect"


@in_browser
@pytest.mark.parametrize("version", ["V2", "V1"])
@pytest.mark.slow
def test_review_is_started_and_answered_in_the_ui(newcomer: Newcomer, version: str) -> None:
    step = steps(IN_THE_UI)
    remove(newcomer, "tuesday")
    name = newcomer.fail(step[5])
    newcomer.type(typed(step[6]))
    deployments, deployment, *start = controls(step[7])
    assert "Suspended" in start
    answer = {"Who decides": "ada", "Do what": "redrive", "Why": f"the file has arrived, seen in {version}"}
    assert all(f"| {field} |" in IN_THE_UI for field in answer)

    with signed_in(newcomer.stack.settings) as ui:
        choose(ui, version)
        ui.press(deployments)
        ui.open_deployment(deployment)
        ui.press(*start[: start.index("Quick run") + 1])
        ui.open_run("Suspended")
        ui.press("Artifacts")
        ui.read(re.compile("open by cause"))
        ui.press(*pressed(IN_THE_UI, version)["to open the question"])
        for field, text in answer.items():
            ui.fill(field, text)
        ui.press(*pressed(IN_THE_UI, version)["to send the answer"])

        row = newcomer.resolved(name)
    assert (row["redriven_by"], row["redriven_why"]) == ("ada", answer["Why"])


def choose(ui: PrefectUI, version: str) -> None:
    """Go to a version of the UI as the text says."""
    if version != "V2":
        for name in controls(next(line for line in IN_THE_UI.splitlines() if f"*Switch to {version} UI*" in line)):
            ui.press(name)
        ui.page.wait_for_url(lambda url: "/v2/" not in url)


def remove(newcomer: Newcomer, name: str) -> None:
    """As if the file had never come."""
    (newcomer.stack.settings.samples / "data" / f"{name}.csv").unlink(missing_ok=True)
