"""Notes of how jobs ended, in REDRIVE_HOME/run/ends: what a job's process asks of the server at the end, until it is answered.

A process that is killed in between has done its work. Whoever finds it gone asks in its place, and the job need not run again.

Danger: the server's `finish` is a compare-and-set on one Running state. So a note that was outlived does nothing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Notes whose host went down before anybody could use them; they are small.
KEPT = 1000


@dataclass(frozen=True)
class EndNotes:
    """Notes by run id."""

    folder: Path

    @classmethod
    def of(cls, home: Path) -> EndNotes:
        return cls(home / "run" / "ends")

    @classmethod
    def here(cls) -> EndNotes | None:
        """Those of this process's stack; None outside of one."""
        home = os.environ.get("REDRIVE_HOME")
        return cls.of(Path(home)) if home else None

    def note(self, run_id: str, request: dict[str, Any]) -> None:
        """Note what is asked of the server. A disk that is full, or a limit of the job's own, costs the note and nothing else."""
        partial = self.folder / f"{run_id}.partial"
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_text(json.dumps(request))
            # In one step: half a note says nothing.
            partial.rename(self.folder / run_id)

    def forget(self, run_id: str) -> None:
        with suppress(OSError):
            (self.folder / run_id).unlink(missing_ok=True)

    def find(self, run_id: str, state_id: str) -> dict[str, Any] | None:
        """What the process that ran a run in that Running state asked of the server, if it asked and may not have been answered."""
        try:
            request: dict[str, Any] = json.loads((self.folder / run_id).read_text())
        except (OSError, ValueError):
            return None
        return request if request.get("state_id") == state_id else None

    def forget_old(self) -> None:
        """Throw away what is older than the newest `KEPT`."""
        notes = sorted(self.folder.glob("*"), key=lambda note: note.stat().st_mtime, reverse=True)
        for old in notes[KEPT:]:
            old.unlink(missing_ok=True)
