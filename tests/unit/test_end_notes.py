"""Notes of how jobs ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redrive.blocks.process.end_notes import EndNotes, OwnEnds
from redrive.blocks.process.end_slate import LONGEST, SUFFIX
from redrive.blocks.process.run_notes import KEPT

RUN, RUNNING, LATER = "run-1", "state-1", "state-2"
NOTE: dict[str, Any] = {"id": RUN, "state_id": RUNNING}
LONG = {**NOTE, "events": "x" * LONGEST}


@pytest.fixture
def notes(tmp_path: Path) -> EndNotes:
    return EndNotes.of(tmp_path)


@pytest.fixture
def mine(notes: EndNotes) -> OwnEnds:
    return OwnEnds(notes.folder)


@pytest.mark.parametrize("note", [NOTE, LONG], ids=["short", "long"])
def test_note_is_found_for_the_running_state_it_ends_and_for_no_other(
    notes: EndNotes, mine: OwnEnds, note: dict[str, Any]
) -> None:
    mine.note(RUN, note)

    assert notes.run_ids() == {RUN}
    assert notes.find(RUN, RUNNING) == note
    assert notes.find(RUN, LATER) is None
    assert notes.find("run-2", RUNNING) is None


@pytest.mark.parametrize("note", [NOTE, LONG], ids=["short", "long"])
def test_note_that_was_answered_is_gone(notes: EndNotes, mine: OwnEnds, note: dict[str, Any]) -> None:
    mine.note(RUN, NOTE)
    mine.note(RUN, note)

    mine.forget()
    mine.forget()

    assert notes.find(RUN, RUNNING) is None
    assert not notes.run_ids()


def test_later_note_replaces_the_one_before(notes: EndNotes, mine: OwnEnds) -> None:
    for number in range(5):
        mine.note(RUN, {**NOTE, "number": number})

    assert notes.find(RUN, RUNNING) == {**NOTE, "number": 4}


@pytest.mark.parametrize("note", [NOTE, LONG], ids=["short", "long"])
def test_note_outlives_the_process_that_made_it_until_it_was_used(notes: EndNotes, note: dict[str, Any]) -> None:
    in_a_process_that_is_killed(lambda: OwnEnds(notes.folder).note(RUN, note))

    assert notes.find(RUN, RUNNING) == note
    notes.forget(RUN)
    assert notes.find(RUN, RUNNING) is None
    assert list(notes.folder.iterdir()) == []


def test_note_that_was_used_is_gone_though_its_process_lives_and_notes_on(notes: EndNotes, mine: OwnEnds) -> None:
    mine.note(RUN, NOTE)

    notes.forget(RUN)
    assert not notes.run_ids()

    mine.note("run-2", {"id": "run-2", "state_id": LATER})
    assert notes.run_ids() == {"run-2"}


def test_note_that_was_cut_off_leaves_the_one_before(notes: EndNotes, mine: OwnEnds) -> None:
    mine.note(RUN, NOTE)
    mine.note(RUN, {**NOTE, "secret": "of the second"})

    spoil(notes.folder, b"of the second")

    assert notes.find(RUN, RUNNING) == NOTE


def test_half_a_long_note_says_nothing(notes: EndNotes) -> None:
    notes.folder.mkdir(parents=True)
    (notes.folder / RUN).write_text('{"id": "run-1", "state_id": "state-1"')

    assert notes.find(RUN, RUNNING) is None


def test_result_of_a_note_is_stored_when_the_note_is_found(notes: EndNotes, mine: OwnEnds, tmp_path: Path) -> None:
    result = tmp_path / "results" / "one"
    mine.note(RUN, NOTE, {"path": str(result), "text": "[1]"})

    assert notes.find(RUN, LATER) is None
    assert not result.exists()
    assert notes.find(RUN, RUNNING) == NOTE
    assert result.read_text() == "[1]"


def test_note_whose_result_cannot_be_stored_says_nothing(notes: EndNotes, mine: OwnEnds, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    mine.note(RUN, NOTE, {"path": str(tmp_path / "results" / "one"), "text": "[1]"})

    assert notes.find(RUN, RUNNING) is None


@pytest.mark.parametrize("note", [NOTE, LONG], ids=["short", "long"])
def test_disk_that_takes_nothing_costs_the_note_alone(tmp_path: Path, note: dict[str, Any]) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    notes = EndNotes.of(tmp_path)

    OwnEnds(notes.folder).note(RUN, note)

    assert notes.find(RUN, RUNNING) is None


def test_notes_are_their_owners_alone(notes: EndNotes, mine: OwnEnds) -> None:
    mine.note(RUN, NOTE)

    assert notes.folder.stat().st_mode & 0o077 == 0


def test_process_that_ends_leaves_no_slate(notes: EndNotes, mine: OwnEnds) -> None:
    mine.end()

    assert list(notes.folder.iterdir()) == []


def test_oldest_notes_are_thrown_away_and_slates_of_the_killed_that_say_nothing(notes: EndNotes, mine: OwnEnds) -> None:
    mine.note("mine", {"id": "mine", "state_id": RUNNING})
    in_a_process_that_is_killed(lambda: OwnEnds(notes.folder).forget())
    in_a_process_that_is_killed(lambda: OwnEnds(notes.folder).note("killed", {"id": "killed", "state_id": RUNNING}))
    for number in range(KEPT):
        (notes.folder / f"run-{number}").write_text("{}")
        os.utime(notes.folder / f"run-{number}", (number, number))

    notes.forget_old()

    assert len([one for one in notes.folder.iterdir() if one.suffix != SUFFIX]) == KEPT - 1
    assert not (notes.folder / "run-0").exists()
    assert len(list(notes.folder.glob(f"*{SUFFIX}"))) == 2
    assert {"mine", "killed"} <= notes.run_ids()


def in_a_process_that_is_killed(act: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        act()
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def spoil(folder: Path, text: bytes) -> None:
    (slate,) = folder.glob(f"*{SUFFIX}")
    content = slate.read_bytes()
    assert content.count(text) == 1
    slate.write_bytes(content.replace(text, b"?" * len(text)))
