"""Notes of processes on this machine, in REDRIVE_HOME/run: which process is a worker, and which runs a job.

The keeper reads them: of what is noted it knows at once whether it still lives, where otherwise only silence tells. They are
written only where `REDRIVE_HOME` is set, as the stack does for what it starts.

Danger: a process id alone proves nothing, it may belong to somebody else by now; each note holds when the process started.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Seconds two readings of a process's start may differ: the kernel counts in ticks.
TICK = 0.05
#: Notes of ended workers are needed as long as a job carries their name; the newest are plenty.
KEPT = 200


@dataclass(frozen=True)
class ProcessNotes:
    """The notes of one kind, `workers` (by name) or `jobs` (by run id)."""

    folder: Path

    @classmethod
    def of(cls, home: Path, kind: str) -> ProcessNotes:
        return cls(home / "run" / kind)

    def note(self, name: str, pid: int | None = None) -> None:
        """Note that a process (the calling one if not given) is what that name names."""
        process = psutil.Process(pid)
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.partial"
        partial.write_text(json.dumps({"pid": process.pid, "started": process.create_time()}))
        partial.rename(self.folder / name)

    def forget(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def forget_ended(self) -> None:
        """Throw away what is older than the newest `KEPT`."""
        notes = sorted(self.folder.glob("*"), key=lambda note: note.stat().st_mtime, reverse=True)
        for old in notes[KEPT:]:
            old.unlink(missing_ok=True)

    def pid(self, name: str) -> int | None:
        """The process of that name if it lives, 0 if it ended, None if nobody noted it."""
        try:
            noted = json.loads((self.folder / name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return noted["pid"] if _lives(noted["pid"], noted["started"]) else 0

    def alive(self) -> dict[str, int]:
        """Every name whose process lives, with its id."""
        try:
            names = [note.name for note in self.folder.iterdir()]
        except FileNotFoundError:
            return {}
        return {name: pid for name in names if not name.endswith(".partial") and (pid := self.pid(name))}


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) <= TICK and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
