"""Which lines of a running job keep memory: recorded by memray in the job's own process, read here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from redrive.blocks.core.errors import Conflict, SettingsError
from redrive.blocks.core.settings import Settings
from redrive.blocks.process.memory_profile import SIGNAL, answer_file, profiles_folder, request_file, takes_requests

#: Seconds that a job which is busy in C may take until it notices the request.
NOTICED = 10.0
#: Seconds between two looks.
SAMPLE = 0.05
#: Frames of a stack that are read: the innermost ones of the project say which line it is.
FRAMES = 30
#: Seconds that the report may take.
REPORT = 120.0


@dataclass(frozen=True)
class Kept:
    """Bytes that a line allocated and that were not freed until the end."""

    where: str
    bytes: int
    count: int


@dataclass(frozen=True)
class MemoryProfile:
    """A report as HTML, and the lines that kept most."""

    file: Path
    kept: list[Kept]


def profile(pid: int, seconds: float, file: Path, settings: Settings) -> MemoryProfile:
    """Record a process for so many seconds.

    Raises:
        SettingsError: memray is missing.
        Conflict: the process takes no requests, ended, or does not notice.
    """
    if find_spec("memray") is None:
        raise SettingsError("memory profiles need memray, which is not installed: pip install 'redrive[profile]'")
    if not takes_requests(pid):
        raise Conflict(f"process {pid} takes no requests: only jobs of a warm worker can be asked for their memory")
    raw = file.with_suffix(".bin")
    folder = profiles_folder(settings.home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    request, answer = request_file(folder, pid), answer_file(folder, pid)
    try:
        request.write_text(json.dumps({"file": str(raw)}))
        answer.unlink(missing_ok=True)
        _signal(pid)
        _wait_for(answer, pid)
        if message := answer.read_text():
            raise Conflict(f"process {pid} cannot record its memory: {message}")
        time.sleep(seconds)
        _signal(pid)
        return _read(raw, file)
    finally:
        for one in (request, answer, raw):
            one.unlink(missing_ok=True)


def _signal(pid: int) -> None:
    try:
        os.kill(pid, SIGNAL)
    except ProcessLookupError:
        raise Conflict(f"process {pid} has ended") from None


def _wait_for(answer: Path, pid: int) -> None:
    give_up = time.monotonic() + NOTICED
    while not answer.exists():
        if time.monotonic() > give_up:
            raise Conflict(
                f"process {pid} did not notice the request within {NOTICED:g} s: it is busy outside of Python"
            )
        time.sleep(SAMPLE)


def _read(raw: Path, file: Path) -> MemoryProfile:
    command = [sys.executable, "-m", "memray", "flamegraph", "--leaks", "--force", "--output", str(file), str(raw)]
    give_up = time.monotonic() + NOTICED
    while True:
        # It is whole once the job's process came to the second signal.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=REPORT)
        if not done.returncode:
            return MemoryProfile(file, _kept(raw))
        if time.monotonic() > give_up:
            raise Conflict(f"the recording cannot be read: {' '.join(done.stderr.split())[-300:]}")
        time.sleep(SAMPLE)


def _kept(raw: Path, most: int = 10) -> list[Kept]:
    from memray import FileReader  # noqa: PLC0415  (only where somebody asks)

    found: dict[str, tuple[int, int]] = {}
    with FileReader(str(raw)) as reader:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            stack = record.stack_trace(max_stacks=FRAMES)
            if not stack:
                continue
            function, path, line = next((frame for frame in stack if _is_projects(frame[1])), stack[0])
            where = f"{function} ({path}:{line})"
            size, count = found.get(where, (0, 0))
            found[where] = (size + record.size, count + record.n_allocations)
    greatest = sorted(found.items(), key=lambda item: item[1][0], reverse=True)
    return [Kept(where, size, count) for where, (size, count) in greatest[:most]]


def _is_projects(path: str) -> bool:
    outside = ("site-packages", "/lib/python", "memory_profile.py")
    return not path.startswith("<") and not any(part in path for part in outside)
