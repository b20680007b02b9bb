"""`redrive top` against a real stack, in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from redrive.deployments.enqueue import enqueue, wait_for
from tests.support.job_stack import JobStack
from tests.support.stack import INTERRUPTIBLE
from tests.support.waiting import wait_until

PATIENCE = 120


def test_json_has_queues_workers_pace_and_causes(job_stack: JobStack) -> None:
    folder = job_stack.folder("top")
    dead = enqueue("test-permanent", {"folder": str(folder)})
    wait_for(dead.id, timeout=PATIENCE)
    job_stack.dead_letter(dead.id)

    told = json.loads(job_stack.redrive("top", "--json").stdout)

    assert [queue["name"] for queue in told["queues"]] == ["high", "default", "bulk", "low"]
    assert len(told["workers"]) == 1
    assert told["pace"][1]["failed"] > 0
    assert told["keeper"] == {"healthy": True, "summary": told["keeper"]["summary"], "late": []}
    assert "PermanentError" in {group["error_type"].rpartition(".")[2] for group in told["dead"]}


def test_a_job_under_way_is_shown_with_its_worker(job_stack: JobStack) -> None:
    folder = job_stack.folder("top")
    job = enqueue("test-ok", {"folder": str(folder), "seconds": 300})

    def frame() -> str:
        text: str = job_stack.redrive("top", "--once").stdout
        return text if str(job.id)[:8] in text else ""

    shown = wait_until(frame, PATIENCE, "the job on the screen")
    (folder / "enough").touch()

    assert "test-ok" in shown


@pytest.mark.parametrize("how", ["q", "Ctrl-C"])
def test_leaving_gives_the_terminal_back_as_it_was(job_stack: JobStack, how: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*INTERRUPTIBLE, sys.executable, "-m", "redrive.infra.cli.main", "top", "--every", "0.5"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=job_stack.env | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""

    def drawn() -> bool:
        nonlocal seen
        seen += os.read(ours, 65536)
        return b"WAITING" in seen

    wait_until(drawn, PATIENCE, "the first frame")
    if how == "q":
        os.write(ours, b"q")
    else:
        process.send_signal(signal.SIGINT)

    def rest() -> bool:
        nonlocal seen
        try:
            seen += os.read(ours, 65536)
        except OSError:
            # Linux says so when the other side is closed.
            return True
        return False

    wait_until(rest, PATIENCE, "its end")
    assert process.wait(PATIENCE) in {0, 130}
    os.close(ours)
    assert b"\x1b[?1049h" in seen, "no screen of its own"
    assert seen.rstrip().rfind(b"\x1b[?1049l") > seen.rfind(b"\x1b[?1049h"), "the screen was not given back"
