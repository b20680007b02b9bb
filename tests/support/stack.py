"""A stack of one's own for tests: a temporary REDRIVE_HOME, free ports, real processes, nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.local.folders import temporary_folder
from redrive.infra.local.marks import end_leftovers, leftovers
from redrive.infra.local.status import status
from tests.support.file_roots import FILE_ROOTS
from tests.support.http_source import PRIVATE_HOSTS
from tests.support.stack_template import copy_template
from tests.support.waiting import wait_until

#: Seconds a command of the stack may take on a busy machine.
PATIENCE = 240
#: Before a command: tests that run in the background of a shell inherit that Ctrl-C is ignored. Not by `preexec_fn`: this process may
#: have gRPC loaded, as a receiver of traces, which ends what is forked before it becomes the command (grpc/grpc#43055).
INTERRUPTIBLE = ("env", "--default-signal=INT")


class LocalStack:
    """One local stack, driven by its command line as a person would."""

    def __init__(self, home: Path, project: Path | None = None, *, template: bool = True, **settings: object) -> None:
        self.home = home
        self._template = template
        self.project = project or home.parent
        ports = free_ports("prefect_port", "console_port", "metrics_port", "smtp_port")
        given = {"home": home, "file_roots": FILE_ROOTS, "private_hosts": PRIVATE_HOSTS, **ports, **settings}
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("REDRIVE_", "PREFECT_"))}
        self.env |= {f"REDRIVE_{name.upper()}": str(value) for name, value in given.items()}

    @property
    def settings(self) -> Settings:
        return Settings.load(self.env)

    def start(self) -> str:
        """`redrive up`, the first time with databases that were made before; what it printed."""
        if self._template:
            copy_template(self.settings, self.env)
        return self.command("up").stdout

    def stop(self) -> None:
        """`redrive down`, however the stack fares."""
        self.command("down", check=False)
        end_leftovers(self.settings)
        settings = self.settings
        for folder in (temporary_folder(settings), settings.socket_folder):
            if settings.home not in folder.parents:
                shutil.rmtree(folder, ignore_errors=True)

    def status(self) -> dict[str, Any]:
        """What `redrive status --json` prints, without the start of an interpreter: tests ask many times a second."""
        return status(self.settings).model_dump(mode="json")

    def component(self, name: str) -> dict[str, Any]:
        """What the status says of one component."""
        (found,) = (one for one in self.status()["components"] if one["name"] == name)
        return dict(found)

    def command(self, *arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the stack; `more` is added to its environment."""
        done = self.begin(*arguments, **more)
        out, err = done.communicate(timeout=PATIENCE)
        assert not check or done.returncode == 0, f"redrive {' '.join(arguments)}: exit {done.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, done.returncode, out, err)

    def begin(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a command of the stack and do not wait."""
        return subprocess.Popen(
            [*INTERRUPTIBLE, sys.executable, "-P", "-m", "redrive.infra.cli.main", *arguments],
            cwd=self.project,
            env=self.env | more,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def processes(self) -> list[psutil.Process]:
        """Every live process of the stack."""
        return leftovers(self.settings)

    def kill(self, name: str) -> int:
        """`kill -9` a component or the supervisor; its process id."""
        pid = self.status()["supervisor_pid"] if name == "supervisor" else self.component(name)["pid"]
        os.kill(pid, signal.SIGKILL)
        return int(pid)


def free_ports(*names: str) -> dict[str, int]:
    """A free port for each name, all different."""
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in names}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in sockets.items()}


#: A short path, so that sockets lie inside it, of what breaks those who quote by hand.
ODD = """5 % "q"; it's """


@pytest.fixture(scope="session")
def running_stack() -> Iterator[LocalStack]:
    """One stack for the whole session."""
    folder = Path(tempfile.mkdtemp(prefix="a b"))
    # Once in each run, a start that makes all.
    stack = LocalStack(folder / ODD / ".redrive", template=False)
    stack.project.mkdir()
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        left = stack.processes()
        shutil.rmtree(folder, ignore_errors=True)
    assert not left


@pytest.fixture
def stack(running_stack: LocalStack) -> LocalStack:
    """The session's stack, healthy. A test may break or stop it: whoever comes next finds it whole again.

    Danger: a start takes twenty seconds, so a test that leaves it stopped is followed by one that wants it `stopped`.
    """
    if running_stack.status()["supervisor_pid"] is None:
        running_stack.start()
    wait_until(lambda: running_stack.status()["healthy"], PATIENCE, "the stack to be healthy")
    return running_stack


@pytest.fixture
def stopped(running_stack: LocalStack) -> LocalStack:
    """The session's stack, with nothing of it running."""
    if running_stack.status()["supervisor_pid"] or running_stack.processes():
        running_stack.command("down")
    return running_stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack for one test, not started yet."""
    stack = LocalStack(tmp_path / ".redrive")
    try:
        yield stack
    finally:
        stack.stop()
        assert not stack.processes()
