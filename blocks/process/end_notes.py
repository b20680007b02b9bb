"""Notes of how jobs ended, in REDRIVE_HOME/run/ends: what a job's process asks of the server at the end, until it is answered.

A process that is killed in between has done its work. Whoever finds it gone asks in its place, and the job need not run again.
The first note of a job is made the moment it returns, with its result, which is stored next; each later one replaces it.

Danger: the server's `finish` is a compare-and-set on one Running state. So a note that was outlived does nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from redrive.blocks.process.end_slate import SUFFIX, EndSlate, FoundSlate
from redrive.blocks.process.run_notes import RunNotes, remove_old

#: Of a note: the result that is yet to be stored.
_RESULT = "result"


class OwnEnds:
    """What the calling process notes of its jobs, one after another. A disk that is full costs the note and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The job whose note did not fit on the slate and is in a file of its own.
        self._long: str | None = None
        self._slate: EndSlate | None = None
        with suppress(OSError):
            self._slate = EndSlate.make(folder)

    @classmethod
    def here(cls) -> OwnEnds | None:
        """In this process's stack; None outside of one."""
        notes = EndNotes.here()
        return cls(notes.folder) if notes else None

    def note(self, run_id: str, request: dict[str, Any], result: dict[str, Any] | None = None) -> None:
        """Note what is asked of the server.

        Args:
            result: the `path` of the file in which it is yet to be stored, and the `text` that it is to hold.
        """
        content = json.dumps(request if result is None else {**request, _RESULT: result}).encode()
        if self._slate is not None and self._slate.write(content):
            return
        if EndNotes(self._folder).write(run_id, content):
            self._long = run_id

    def forget(self) -> None:
        """The server answered."""
        if self._slate is not None:
            self._slate.wipe()
        if self._long is not None:
            EndNotes(self._folder).remove(self._long)
            self._long = None

    def end(self) -> None:
        """No job comes any more."""
        if self._slate is not None:
            self._slate.remove()


class EndNotes(RunNotes):
    """The notes of all processes of a stack on this machine, by run id."""

    KIND = "ends"

    def run_ids(self) -> set[str]:
        """The runs whose end is noted."""
        found = {str(note["id"]) for one in FoundSlate.all(self.folder) if (note := _note(one.note))}
        return found | {path.name for path in self.files()}

    def find(self, run_id: str, state_id: str) -> dict[str, Any] | None:
        """What the process that ran a run in that Running state asked of the server, if it asked and may not have been answered."""
        try:
            contents = [(self.folder / run_id).read_bytes()]
        except OSError:
            contents = []
        contents += [one.note for one in FoundSlate.all(self.folder) if one.note]
        for content in contents:
            note = _note(content)
            if note is not None and (note["id"], note["state_id"]) == (run_id, state_id):
                return note if _store_result(note) else None
        return None

    def forget(self, run_id: str) -> None:
        """A run whose process is gone, or does nothing for it any more, was brought to its end."""
        self.remove(run_id)
        for one in FoundSlate.all(self.folder):
            note = _note(one.note)
            if (note is None and one.is_left) or (note is not None and note["id"] == run_id):
                one.wipe()

    def forget_old(self) -> None:
        """Throw away what ended processes left that had nothing to note, and notes older than the newest `KEPT`."""
        with suppress(FileNotFoundError):  # somebody else throws them away, too
            self._forget_old()

    def _forget_old(self) -> None:
        left = [one for one in FoundSlate.all(self.folder) if one.is_left]
        for one in left:
            if one.note is None:
                one.wipe()
        notes = [*self.files(), *(one.path for one in left if one.note is not None)]
        remove_old(notes)

    def files(self) -> list[Path]:
        """Those that are no slate."""
        return [path for path in super().files() if path.suffix != SUFFIX]


def _note(content: bytes | None) -> dict[str, Any] | None:
    try:
        note = json.loads(content or b"null")
    except ValueError:
        return None
    return note if isinstance(note, dict) and {"id", "state_id"} <= note.keys() else None


def _store_result(note: dict[str, Any]) -> bool:
    """Store the result that a note holds, if it holds one; False if that failed."""
    if result := note.pop(_RESULT, None):
        path = Path(result["path"])
        partial = path.with_name(f"{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(result["text"])
            partial.rename(path)
        except OSError:
            return False
    return True
