"""A stack of the first edition, with jobs that wait and a dead letter, goes on under today's code. It installs that edition: soak."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redrive.infra.local.marks import end_leftovers
from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.stack, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
#: Before the second edition: other folders, other entrypoints, a ledger with two migrations.
COMMIT = "031a0ef"
PATIENCE = 180
#: A mail that needs nothing of the report, which a job beside it makes: neither the file to attach nor the one with the figures.
LETTER = {
    "data": None,
    "values": {"title": "Greetings", "subtitle": "from the first edition", "figures": [], "source": "nowhere"},
    "attachments": [],
}
#: What that edition knew of the settings.
_KNOWN = ("REDRIVE_HOME", "REDRIVE_PREFECT_PORT", "REDRIVE_METRICS_PORT", "REDRIVE_SMTP_PORT")


class FirstEdition:
    """Its code in a folder, its packages in a virtual environment of its own."""

    def __init__(self, folder: Path, stack: LocalStack) -> None:
        self.folder = folder
        self.stack = stack
        folder.mkdir()
        archive = subprocess.Popen(["git", "archive", COMMIT], cwd=ROOT, stdout=subprocess.PIPE)  # noqa: S607  (whichever is there)
        subprocess.run(["tar", "x"], cwd=folder, stdin=archive.stdout, check=True)  # noqa: S607  (as above)
        assert archive.wait() == 0
        self._run("make", "-C", str(folder), ".venv/bin/.installed")

    def redrive(self, *arguments: str, check: bool = True) -> str:
        return self._run(str(self.folder / ".venv" / "bin" / "redrive"), *arguments, check=check)

    def _run(self, *command: str, check: bool = True) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("REDRIVE_", "PREFECT_"))}
        known = {name: value for name, value in self.stack.env.items() if name in _KNOWN}
        done = subprocess.run(
            command, cwd=self.stack.project, env=clean | known, text=True, capture_output=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    folder = Path(tempfile.mkdtemp(prefix="redrive-upgrade-"))
    # That edition's PostgreSQL, which does not run as root, could not pass a closed folder.
    folder.chmod(0o755)
    stack = LocalStack(folder / "company" / ".redrive")
    stack.project.mkdir()
    try:
        yield stack
    finally:
        stack.stop()
        end_leftovers(stack.settings)
        shutil.rmtree(folder, ignore_errors=True)


def test_stack_of_the_first_edition_goes_on_with_its_jobs_and_its_dead_letters(stack: LocalStack) -> None:
    if subprocess.run(["git", "cat-file", "-e", COMMIT], cwd=ROOT, capture_output=True, check=False).returncode:  # noqa: S607  (as above)
        pytest.skip(f"this clone has no commit {COMMIT}")
    first = FirstEdition(stack.project.parent / "first", stack)
    first.redrive("up")
    first.redrive("enqueue", "sync", "-p", "source=samples/data/nowhere.csv", "--wait", check=False)
    (dead,) = wait_until(lambda: json.loads(first.redrive("dead", "list", "--json")), PATIENCE, "its row")
    first.redrive("queues", "pause", "default")
    waiting = {job: accepted(first, job, "--queue", "default") for job in ("sync", "reports", "documents")}
    waiting["mail"] = accepted(first, "mail", "--params-json", json.dumps(LETTER), "--queue", "default")
    hopeless = accepted(first, "sync", "-p", "source=samples/data/never.csv", "--queue", "default")
    later = accepted(first, "sync", "--in", "2h")
    first.redrive("down")

    stack.start()

    (queue,) = (one for one in read(stack, "queues", "list") if one["name"] == "default")
    assert queue["paused"], "a pause is a person's, and outlives an upgrade"
    stack.command("queues", "resume", "default")
    for job, job_id in waiting.items():
        wait_until(lambda job_id=job_id: state(stack, job_id) == "Completed", PATIENCE, f"{job} to complete")  # type: ignore[misc]  # mypy sees no type in the default
    wait_until(lambda: state(stack, hopeless) == "DeadLetter", PATIENCE, "the hopeless job to be a dead letter")
    assert state(stack, later) == "Scheduled"

    shown = read(stack, "dead", "show", dead["id"])
    assert shown["dead_letter"]["run_id"] == dead["run_id"]
    assert [act["what"] for act in shown["history"]] == ["dead-lettered"]
    right = json.dumps({"source": "samples/data/seattle-weather.csv"})
    stack.command("dead", "redrive", dead["id"], "--params-json", right, "--why", "the file was misspelt")
    wait_until(
        lambda: read(stack, "dead", "show", dead["id"])["dead_letter"]["status"] == "resolved",
        PATIENCE,
        "the row of before to be resolved",
    )


def accepted(first: FirstEdition, job: str, *options: str) -> str:
    return str(json.loads(first.redrive("enqueue", job, *options, "--json"))["id"])


def read(stack: LocalStack, *arguments: str) -> Any:
    return json.loads(stack.command(*arguments, "--json").stdout)


def state(stack: LocalStack, job_id: str) -> str:
    return str(read(stack, "jobs", "show", job_id)["job"]["state"])
