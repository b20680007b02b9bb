"""Ends of jobs that their processes noted and died before the server answered: reported for them, so that they need not run again."""

from __future__ import annotations

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.begun_run import finish
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import RUNNING
from redrive.blocks.process.end_notes import EndNotes


class NotedEnds:
    """The notes of this machine (`blocks/process/end_notes.py`)."""

    def __init__(self, settings: Settings) -> None:
        self._notes = EndNotes.of(settings.home)

    def report(self, run: Run) -> bool:
        """Bring a run whose process is gone to the end that was noted; whether there was one and it holds.

        Raises:
            ApiUnavailable: the note stays.
        """
        noted = self._notes.find(str(run.id), str(run.state_id)) if run.state_type == RUNNING else None
        if noted is None:
            return False
        ended = bool(finish(noted)["state"])
        self._notes.forget(str(run.id))
        return ended
