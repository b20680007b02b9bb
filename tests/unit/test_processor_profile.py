"""A profile by the real py-spy: who works is named, and who only waits is not, however busy the machine is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from redrive.blocks.core.errors import Conflict
from redrive.infra.profiles.processor import profile

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 and YAMA.exists() and YAMA.read_text().strip() != "0",
    reason="here only root may look into a process: kernel.yama.ptrace_scope",
)

#: One function works. Others wait, each in a thread and in a way of its own.
PROGRAM = """
import os, select, socket, threading
from concurrent.futures import ThreadPoolExecutor

def hears():
    with socket.socketpair()[0].makefile("rb") as line:
        line.readline()

def reads():
    os.read(os.pipe()[0], 1)

def selects():
    select.select([os.pipe()[0]], [], [])

def guilty():
    found = 0
    for number in range(100_000):
        found += number * number

for waiting in (hears, reads, selects):
    threading.Thread(target=waiting, daemon=True).start()
pool = ThreadPoolExecutor()
pool.submit(int).result()
print("ready", flush=True)
while True:
    guilty()
"""
IDLE = "import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(60)"
#: Processes that take the machine's cores meanwhile: a thread that was woken waits for its turn then, and looks busy.
OTHERS = 3


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as processes:
        yield processes


def start(processes: ExitStack, program: str) -> int:
    process = processes.enter_context(
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    )
    processes.callback(process.kill)
    if "ready" in program:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return process.pid


def test_who_works_is_named_and_who_waits_is_not_on_a_busy_machine(started: ExitStack, tmp_path: Path) -> None:
    pid = start(started, PROGRAM)
    for _ in range(OTHERS):
        start(started, "while True: pass")

    found = profile(pid, 1, tmp_path / "busy.svg")

    assert found.shares[0].where.startswith("guilty (")
    # By lines, of which it has two that take time.
    assert sum(one.part for one in found.shares if one.where.startswith("guilty (")) > 0.8
    assert "guilty (" in found.file.read_text()


def test_of_a_process_that_waits_there_is_no_profile(started: ExitStack, tmp_path: Path) -> None:
    pid = start(started, IDLE)

    with pytest.raises(Conflict, match="it ended, or it waits and uses no processor time"):
        profile(pid, 1, tmp_path / "idle.svg")
    assert not (tmp_path / "idle.svg").exists()
