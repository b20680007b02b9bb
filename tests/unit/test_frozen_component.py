"""A component whose process somebody stopped is unhealthy at once, and `redrive status` names what lets it go on."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.keeper import Keeper
from redrive.infra.local.status import State, _component
from redrive.infra.local.supervisor import Running
from tests.support.waiting import wait_until


@pytest.fixture
def stopped() -> Iterator[psutil.Process]:
    """A real process that was sent SIGSTOP."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        found = psutil.Process(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: found.status() == psutil.STATUS_STOPPED, 10, "the process to stop")
        yield found
        process.kill()


def test_stopped_process_is_named_with_the_command_that_lets_it_go_on(stopped: psutil.Process, tmp_path: Path) -> None:
    part = Keeper(Settings.load({"REDRIVE_HOME": str(tmp_path / ".redrive")}))
    running = Running("keeper", "RUNNING", stopped.pid, time.time())

    found = _component(part, running, external=False, known=True)

    # Although it was started a moment ago, it is not merely starting.
    assert (found.healthy, found.state, found.pid) == (False, State.UNHEALTHY, stopped.pid)
    assert found.problem == f"its process is stopped (SIGSTOP, or a debugger): `kill -CONT {stopped.pid}` lets it go on"


def test_process_that_was_let_go_on_is_asked_again(stopped: psutil.Process, tmp_path: Path) -> None:
    part = Keeper(Settings.load({"REDRIVE_HOME": str(tmp_path / ".redrive")}))
    stopped.send_signal(signal.SIGCONT)
    wait_until(lambda: stopped.status() != psutil.STATUS_STOPPED, 10, "the process to go on")

    found = _component(part, Running("keeper", "RUNNING", stopped.pid, time.time()), external=False, known=True)

    assert "kill -CONT" not in found.problem
