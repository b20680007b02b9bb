"""Notes of tries that were spent while the API was unavailable, in REDRIVE_HOME/run/spent: one file a run.

The worker hears of each spent try and writes it when the job's process dies. Where both are killed before the API is back, the note is
all that is left, and the keeper of this machine counts by it.

Danger: a note is of one attempt. That of an attempt before, or of one that a redrive counted afresh, says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from redrive.blocks.process.run_notes import RunNotes, remove_old


class SpentNotes(RunNotes):
    """The notes of a stack on this machine."""

    KIND = "spent"

    def note(self, run_id: str, attempt: str, labels: Mapping[str, Any]) -> None:
        """Note the labels that an attempt could not write. A disk that is full costs the note and nothing else."""
        self.write(run_id, json.dumps({"attempt": attempt, "labels": dict(labels)}).encode())

    def find(self, run_id: str, attempt: str | None) -> dict[str, Any] | None:
        """The labels that this attempt of a run noted."""
        try:
            noted = json.loads((self.folder / run_id).read_bytes())
            return dict(noted["labels"]) if attempt and noted["attempt"] == attempt else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def forget_old(self) -> None:
        """Throw away those that nobody used."""
        with suppress(FileNotFoundError):
            remove_old(self.files())
