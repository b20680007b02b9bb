"""Notes of tries that were spent while the API was unavailable, in REDRIVE_HOME/run/spent: one file a run.

The worker hears of each spent try and writes it when the job's process dies. Where both are killed before the API is back, the note is
all that is left, and the keeper of this machine counts by it.

Danger: a note is of one attempt. That of an attempt before, or of one that a redrive counted afresh, says nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Notes of hosts that went down before anybody could use them; they are small.
KEPT = 1000


@dataclass(frozen=True)
class SpentNotes:
    """The notes of a stack on this machine."""

    folder: Path

    @classmethod
    def of(cls, home: Path) -> SpentNotes:
        return cls(home / "run" / "spent")

    @classmethod
    def here(cls) -> SpentNotes | None:
        """Those of this process's stack; None outside of one."""
        home = os.environ.get("REDRIVE_HOME")
        return cls.of(Path(home)) if home else None

    def note(self, run_id: str, attempt: str, labels: Mapping[str, Any]) -> None:
        """Note the labels that an attempt could not write. A disk that is full costs the note and nothing else."""
        partial = self.folder / f"{run_id}.partial"
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_text(json.dumps({"attempt": attempt, "labels": dict(labels)}))
            # In one step: half a note says nothing.
            partial.rename(self.folder / run_id)

    def find(self, run_id: str, attempt: str | None) -> dict[str, Any] | None:
        """The labels that this attempt of a run noted."""
        try:
            noted = json.loads((self.folder / run_id).read_text())
            return dict(noted["labels"]) if attempt and noted["attempt"] == attempt else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def forget(self, run_id: str) -> None:
        """What it says is known."""
        with suppress(OSError):
            (self.folder / run_id).unlink(missing_ok=True)

    def forget_old(self) -> None:
        """Throw away notes older than the newest `KEPT`."""
        with suppress(FileNotFoundError):  # somebody else throws them away, too
            notes = sorted(self.folder.glob("*"), key=lambda note: note.stat().st_mtime, reverse=True)
            for old in notes[KEPT:]:
                old.unlink(missing_ok=True)
