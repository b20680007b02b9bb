"""Where a running job's processor time goes: a flame graph by py-spy, which looks at the process from outside."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from redrive.blocks.core.errors import Conflict, SettingsError
from redrive.infra.profiles.flame_graph import Share, shares

#: Samples a second: py-spy's default, 1 % of a core or less.
RATE = 100
#: Seconds that attaching and writing may take beyond the profile itself.
BEYOND = 30.0

#: Seconds between two looks whether it is over.
SAMPLE = 0.05

#: How py-spy names a process: with its command line, in which a job may have given its helper a secret.
_COMMAND = re.compile(r"process (?P<pid>\d+):&quot;.*?&quot;", re.DOTALL)


Start = Callable[[list[str]], AbstractContextManager[subprocess.Popen[str]]]


@dataclass(frozen=True)
class ProcessorProfile:
    """A flame graph as SVG, and the functions that had the time to themselves."""

    file: Path
    shares: list[Share]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Share of the time, samples, function: as people read them."""
        return [(f"{one.part:.0%}", f"{one.samples:,}", one.where) for one in self.shares]


def profile(
    pid: int, seconds: float, file: Path, *, over: Callable[[], bool] = lambda: False, start: Start | None = None
) -> ProcessorProfile:
    """Watch a process, and all that it starts, for so many seconds.

    It is not stopped for a sample: the job is not slowed down, and no thread that waits is woken. On a busy machine woken threads look
    as if they worked, while they queue for a core to go on waiting.

    Args:
        over: whether what it does by now is no more of the job. A warm process goes on to the next one.
        start: starts the watching process, for whoever has to know its children.

    Raises:
        SettingsError: py-spy is missing, or may not attach.
        Conflict: the process ended, or used no processor time.
    """
    command = [
        str(_py_spy()), "record", "--pid", str(pid), "--duration", str(max(1, round(seconds))), "--rate", str(RATE),
        "--format", "flamegraph", "--subprocesses", "--nonblocking", "--output", str(file),
    ]  # fmt: skip
    message = " ".join(_output(command, seconds, over, start or _started).split())
    if "ermission" in message:
        raise SettingsError(
            f"process {pid} may not be looked at: run this as the same user, and as root or with "
            "kernel.yama.ptrace_scope=0 (in a container with the capability SYS_PTRACE)"
        )
    svg = _COMMAND.sub(r"process \g<pid>", file.read_text()) if file.exists() else ""
    found = shares(svg)
    if not found:
        file.unlink(missing_ok=True)
        raise Conflict(
            f"process {pid} showed nothing in {seconds:g} s: it ended, or it waits and uses no processor time ({message[-200:]})"
        )
    file.write_text(svg)
    return ProcessorProfile(file, found)


def _output(command: list[str], seconds: float, over: Callable[[], bool], start: Start) -> str:
    give_up = time.monotonic() + seconds + BEYOND
    told = False
    with start(command) as watching:
        while watching.poll() is None and time.monotonic() < give_up:
            if not told and over():
                # It writes what it has seen.
                watching.send_signal(signal.SIGINT)
                told = True
            time.sleep(SAMPLE)
        if watching.poll() is None:
            watching.kill()
        out, error = watching.communicate()
    return error or out


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process


def _py_spy() -> Path:
    beside = Path(sys.executable).with_name("py-spy")
    if beside.exists():
        return beside
    if find_spec("py_spy") is None:
        raise SettingsError("profiles need py-spy, which is not installed: pip install 'redrive[profile]'")
    return Path("py-spy")
