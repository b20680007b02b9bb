"""Files of one run each, in a folder below REDRIVE_HOME/run: how they are written, found and thrown away."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_PARTIAL: Final = ".partial"
#: Notes of hosts that went down before anybody could use them; they are small.
KEPT: Final = 1000


@dataclass(frozen=True)
class RunNotes:
    """The notes of a kind, of all processes of a stack on this machine. Subclasses say which `KIND`, and what a note holds."""

    folder: Path

    KIND = ""

    @classmethod
    def of(cls, home: Path) -> Self:
        return cls(home / "run" / cls.KIND)

    @classmethod
    def here(cls) -> Self | None:
        """Those of this process's stack; None outside of one."""
        home = os.environ.get("REDRIVE_HOME")
        return cls.of(Path(home)) if home else None

    def write(self, run_id: str, content: bytes) -> bool:
        """Write the note of a run; False if that failed: a disk that is full costs the note and nothing else."""
        partial = self.folder / f"{run_id}{_PARTIAL}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_bytes(content)
            # In one step: half a note says nothing.
            partial.rename(self.folder / run_id)
        except OSError:
            return False
        return True

    def remove(self, run_id: str) -> None:
        """Remove the file of a note."""
        with suppress(OSError):
            (self.folder / run_id).unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """All that are whole."""
        return [path for path in self.folder.glob("*") if path.suffix != _PARTIAL]


def remove_old(notes: Iterable[Path]) -> None:
    """Throw away all but the newest `KEPT`.

    Raises:
        FileNotFoundError: somebody else throws them away, too.
    """
    for old in sorted(notes, key=lambda note: note.stat().st_mtime, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)
