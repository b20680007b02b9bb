"""Notes of tries that were spent while the API was unavailable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redrive.blocks.process import run_notes
from redrive.blocks.process.spent_notes import SpentNotes

TRIES = {"redrive.tries": 2}


@pytest.fixture
def notes(tmp_path: Path) -> SpentNotes:
    return SpentNotes.of(tmp_path)


def test_note_is_found_for_the_attempt_it_is_of_and_for_no_other(notes: SpentNotes) -> None:
    notes.note("a-run", "its-claim", TRIES)

    assert notes.find("a-run", "its-claim") == TRIES
    assert [notes.find("a-run", attempt) for attempt in ("the-next", "", None)] == [None] * 3
    assert notes.find("another-run", "its-claim") is None


def test_later_note_replaces_the_one_before(notes: SpentNotes) -> None:
    notes.note("a-run", "its-claim", {"redrive.tries": 1})
    notes.note("a-run", "its-claim", TRIES)

    assert notes.find("a-run", "its-claim") == TRIES


def test_note_that_is_known_is_gone(notes: SpentNotes) -> None:
    notes.note("a-run", "its-claim", TRIES)

    notes.remove("a-run")
    notes.remove("never-noted")

    assert notes.find("a-run", "its-claim") is None


@pytest.mark.parametrize("written", ["", '{"attempt": "its-claim"', '{"attempt": "its-claim", "labels": 7}', "[]", "7"])
def test_what_is_no_note_says_nothing(notes: SpentNotes, written: str) -> None:
    notes.note("a-run", "its-claim", TRIES)
    (notes.folder / "a-run").write_text(written)

    assert notes.find("a-run", "its-claim") is None


def test_disk_that_takes_nothing_costs_the_note_alone(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")

    SpentNotes.of(tmp_path).note("a-run", "its-claim", TRIES)

    assert SpentNotes.of(tmp_path).find("a-run", "its-claim") is None


def test_oldest_notes_are_thrown_away(notes: SpentNotes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_notes, "KEPT", 2)
    notes.forget_old()
    for number in range(3):
        notes.note(f"run-{number}", "its-claim", TRIES)
        os.utime(notes.folder / f"run-{number}", (number, number))

    notes.forget_old()

    assert sorted(path.name for path in notes.folder.iterdir()) == ["run-1", "run-2"]
