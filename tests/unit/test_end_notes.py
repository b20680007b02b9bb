"""Notes of how jobs ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redrive.blocks.process.end_notes import KEPT, EndNotes

RUN, RUNNING, LATER = "run-1", "state-1", "state-2"


@pytest.fixture
def notes(tmp_path: Path) -> EndNotes:
    return EndNotes.of(tmp_path)


def test_note_is_found_for_the_running_state_it_ends_and_for_no_other(notes: EndNotes) -> None:
    notes.note(RUN, {"id": RUN, "state_id": RUNNING})

    assert notes.find(RUN, RUNNING) == {"id": RUN, "state_id": RUNNING}
    assert notes.find(RUN, LATER) is None
    assert notes.find("run-2", RUNNING) is None


def test_note_that_was_answered_is_gone(notes: EndNotes) -> None:
    notes.note(RUN, {"state_id": RUNNING})

    notes.forget(RUN)
    notes.forget(RUN)

    assert notes.find(RUN, RUNNING) is None


def test_half_a_note_says_nothing(notes: EndNotes) -> None:
    notes.folder.mkdir(parents=True)
    (notes.folder / RUN).write_text('{"state_id": "state-1"')

    assert notes.find(RUN, RUNNING) is None


def test_disk_that_takes_nothing_costs_the_note_alone(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")

    EndNotes.of(tmp_path).note(RUN, {"state_id": RUNNING})

    assert EndNotes.of(tmp_path).find(RUN, RUNNING) is None


def test_notes_are_their_owners_alone(notes: EndNotes) -> None:
    notes.note(RUN, {"state_id": RUNNING})

    assert notes.folder.stat().st_mode & 0o077 == 0


def test_oldest_notes_are_thrown_away(notes: EndNotes) -> None:
    for number in range(KEPT + 2):
        notes.note(f"run-{number}", {"state_id": RUNNING})
        os.utime(notes.folder / f"run-{number}", (number, number))

    notes.forget_old()

    assert len(list(notes.folder.iterdir())) == KEPT
    assert notes.find("run-1", RUNNING) is None
    assert notes.find("run-2", RUNNING) is not None
