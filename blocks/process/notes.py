"""Notes of processes on this machine, in REDRIVE_HOME/run: which process is a worker, and which runs a job.

The keeper reads them: of what is noted it knows at once whether it still lives, where otherwise only silence tells. They are
written only where `REDRIVE_HOME` is set, as the stack does for what it starts.

Danger: a process id alone proves nothing, it may belong to somebody else by now, or to another host that shares the folder; each
note holds the whole identity of its process (`process_identity.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from redrive.blocks.process.identity import ProcessIdentity

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
        """Note that a process (the calling one if not given) is what that name names.

        Raises:
            ProcessLookupError: it has ended.
        """
        process = ProcessIdentity.of(pid)
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.partial"
        partial.write_text(json.dumps(process.note()))
        partial.rename(self.folder / name)

    def forget(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def forget_ended(self) -> None:
        """Throw away what is older than the newest `KEPT`."""
        notes = sorted(self.folder.glob("*"), key=lambda note: note.stat().st_mtime, reverse=True)
        for old in notes[KEPT:]:
            old.unlink(missing_ok=True)

    def pid(self, name: str) -> int | None:
        """The process of that name if it lives, 0 if it ended, None if nobody of this host noted it."""
        try:
            noted = ProcessIdentity.read(json.loads((self.folder / name).read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if noted is None or not noted.is_here:
            return None
        return noted.pid if noted.lives else 0

    def alive(self) -> dict[str, int]:
        """Every name whose process lives, with its id."""
        try:
            names = [note.name for note in self.folder.iterdir()]
        except FileNotFoundError:
            return {}
        return {name: pid for name in names if not name.endswith(".partial") and (pid := self.pid(name))}
