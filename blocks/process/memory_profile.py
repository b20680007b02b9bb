"""Recording a running job's memory: its process begins and ends at a signal, by what a request file says.

The recorder (memray) must be started by the thread whose calls it follows, so it cannot be attached from outside as a sampler of
the processor can. A signal's handler runs in the main thread, where the job does.

Danger: a process without this handler would die of the signal; whoever sends it looks first (`takes_requests`).
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

SIGNAL: Final = signal.SIGUSR2


def profiles_folder(home: Path) -> Path:
    """Where requests and answers lie."""
    return home / "run" / "profiles"


def request_file(folder: Path, pid: int) -> Path:
    """Where a process finds what to record, and into which file."""
    return folder / f"{pid}.memory.json"


def answer_file(folder: Path, pid: int) -> Path:
    """Where it says why it cannot; empty once it records."""
    return folder / f"{pid}.memory.said"


def takes_requests(pid: int) -> bool:
    """Whether a process has a handler for the signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (SIGNAL - 1) & 1)


class MemoryProfile:
    """The recording of this process."""

    def __init__(self, home: str | None) -> None:
        """In a stack's `home`; without one nobody asks."""
        self._folder = profiles_folder(Path(home)) if home else None
        self._tracker: Any = None

    def take_requests(self) -> None:
        """From now on; costs nothing until somebody asks."""
        if self._folder is not None:
            signal.signal(SIGNAL, self._asked)

    def end(self) -> None:
        """Stop recording, if it does: the job is over."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            tracker.__exit__(None, None, None)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._tracker is not None:
            self.end()
            return
        assert self._folder is not None  # noqa: S101  (else nobody listens)
        with suppress(OSError):
            message = answer_file(self._folder, os.getpid())
            try:
                message.write_text(self._begin(self._folder))
            except (ImportError, OSError, KeyError, ValueError, RuntimeError) as error:
                message.write_text(f"{type(error).__name__}: {error}")

    def _begin(self, folder: Path) -> str:
        asked = json.loads(request_file(folder, os.getpid()).read_text())
        import memray  # noqa: PLC0415  (only where somebody asks)

        self._tracker = memray.Tracker(asked["file"], trace_python_allocators=True)
        self._tracker.__enter__()
        return ""
