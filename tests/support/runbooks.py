"""What the runbooks tell an operator to type, and a stack on which there is something to type it about."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from redrive.blocks.core.exit_codes import ExitCode
from redrive.dashboards.alerts.runbook import FILE
from redrive.deployments.dead_letters.ledger import DeadLetter
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.details import cancel_job, show_job
from redrive.deployments.queues import list_queues, pause_queue
from tests.support.commands import Commands
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

PATIENCE = 90.0
#: Where it happens; the stack's other tests hardly use it.
QUEUE = "bulk"
#: The one that an operator pauses and resumes: what waits in the other one has to stay.
OTHER_QUEUE = "low"

#: Words that begin what is typed; other words in code are names of settings, thresholds and files.
PROGRAMS = ("redrive", "kill", "dmesg", "prefect")
#: Files that a section tells to read, in the folder of the stack.
LOG = re.compile(r"`\.redrive/(logs/\w+\.log)`")


def sections() -> dict[str, list[str]]:
    """The commands of each alert, in the order of the text; what is written twice in a section is there once."""
    parts = re.split(r"^## (\w+)$", FILE.read_text(), flags=re.MULTILINE)
    return {
        alert: list(dict.fromkeys(_typed(text)))
        for alert, text in zip(["", *parts[1::2]], [parts[0], *parts[2::2]], strict=True)
    }


def _typed(text: str) -> list[str]:
    spans = [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text)]
    # A program's bare name is another thing that is called so.
    return [one for one in spans if one.partition(" ")[0] in PROGRAMS and (" " in one or one == "dmesg")]


def logs() -> set[str]:
    """The log files that are named, below the stack's folder."""
    return set(LOG.findall(FILE.read_text()))


@dataclass(frozen=True)
class Night:
    """What somebody finds who was woken: a job that runs, one that waits behind a pause, one between its tries, dead letters."""

    stack: JobStack
    folder: Path
    running: UUID
    waiting: UUID
    retrying: UUID
    #: By what is to become of it.
    dead: dict[str, DeadLetter]


@contextmanager
def begun(stack: JobStack) -> Iterator[Night]:
    """One on a running stack, to which this process points."""
    with stack.overridden("test-flaky", backoff=[540.0]):
        folder = str(stack.folder("night"))
        # The words differ, or all of them would be one cause.
        words = {
            "shown": "herring",
            "redriven": "walnut",
            "replaced": "copper",
            "discarded": "meadow",
            "given up": "violin",
        }
        ids = {
            fate: enqueue("test-fail-once", {"folder": folder, "message": f"no {word} today"}, queue=QUEUE).id
            for fate, word in words.items()
        }
        running = enqueue("test-long", {"folder": folder}, queue=QUEUE).id
        retrying = enqueue("test-flaky", {"folder": folder, "good_at": 99}, queue=QUEUE).id
        dead = {fate: stack.dead_letter(run) for fate, run in ids.items()}
        wait_until(lambda: show_job(running)[0].status == "running", PATIENCE, "the long job to run")
        wait_until(lambda: show_job(retrying)[0].status == "retrying", PATIENCE, "a try to fail")
        pause_queue(QUEUE, paused=True)
        waiting = enqueue("test-ok", {"folder": folder}, queue=QUEUE).id
        try:
            yield Night(stack, Path(folder), running, waiting, retrying, dead)
        finally:
            for job in (waiting, retrying):
                cancel_job(job)
            (Path(folder) / "mended").touch()
            (Path(folder) / "enough").touch()
            set_pause(QUEUE, paused=False)


@dataclass(frozen=True)
class Operator:
    """Types a command of a runbook as it stands there, with values for its capital words."""

    night: Night
    redrive: Commands
    line: str

    def type(self, *more: str, codes: tuple[int, ...] = (ExitCode.OK,), **values: object) -> str:
        words = [str(values.get(word, word)) for word in shlex.split(self.line)]
        came = self.redrive(*words[1:], *more)
        assert self.redrive.code in codes, came
        return came

    def status(self, fate: str) -> str:
        """What became of one of the dead letters."""
        with self.night.stack.ledger() as ledger:
            return ledger.get(str(self.night.dead[fate].id)).status


def is_paused(queue: str) -> bool:
    (found,) = (one.paused for one in list_queues() if one.name == queue)
    return found


def set_pause(queue: str, *, paused: bool) -> None:
    if is_paused(queue) is not paused:
        pause_queue(queue, paused=paused)
