"""Notes of processes: which lives, which ended, which was never noted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from redrive.blocks.process import notes as process_notes
from redrive.blocks.process.notes import ProcessNotes
from tests.support.waiting import wait_until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_noted_process_is_known_while_it_lives(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")

    notes.note("a-run", sleeper.pid)

    assert notes.pid("a-run") == sleeper.pid
    assert notes.alive() == {"a-run": sleeper.pid}


def test_ended_process_is_known_to_be_gone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")
    notes.note("a-run", sleeper.pid)

    sleeper.kill()
    sleeper.wait()

    assert notes.pid("a-run") == 0
    assert notes.alive() == {}


def test_process_that_ended_and_was_not_reaped_is_gone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")
    notes.note("a-run", sleeper.pid)

    sleeper.kill()
    wait_until(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)

    assert notes.pid("a-run") == 0


def test_another_process_with_the_same_id_is_not_taken_for_it(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")
    notes.note("a-run", sleeper.pid)
    path = tmp_path / "run" / "jobs" / "a-run"
    noted = json.loads(path.read_text())

    path.write_text(json.dumps({**noted, "started": noted["started"] - 1}))

    assert notes.pid("a-run") == 0


@pytest.mark.parametrize("step", [3600, -3600], ids=["put forward", "put back"])
def test_process_is_known_after_the_wall_clock_was_stepped(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")
    notes.note("a-run", sleeper.pid)
    # The moment of the boot goes along with the clock, and with it each time of a start that is told by the clock.
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + step)

    assert notes.pid("a-run") == sleeper.pid


def test_process_of_another_host_is_not_judged_here(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    notes = ProcessNotes.of(tmp_path, "workers")
    notes.note("a-worker", sleeper.pid)
    path = tmp_path / "run" / "workers" / "a-worker"
    noted = json.loads(path.read_text())

    path.write_text(json.dumps({**noted, "host": "another-host"}))

    assert notes.pid("a-worker") is None
    assert notes.alive() == {}


def test_process_of_an_earlier_boot_is_gone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    notes = ProcessNotes.of(tmp_path, "workers")
    notes.note("a-worker", sleeper.pid)
    path = tmp_path / "run" / "workers" / "a-worker"
    noted = json.loads(path.read_text())

    path.write_text(json.dumps({**noted, "boot": "another-boot"}))

    assert notes.pid("a-worker") == 0


def test_note_of_an_earlier_version_leaves_the_worker_to_its_lease(tmp_path: Path) -> None:
    notes = ProcessNotes.of(tmp_path, "workers")
    notes.note("a-worker")

    (tmp_path / "run" / "workers" / "a-worker").write_text(json.dumps({"pid": os.getpid(), "started": 1700000000.25}))

    assert notes.pid("a-worker") is None


def test_process_that_ended_cannot_be_noted(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    wait_until(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)

    with pytest.raises(ProcessLookupError):
        ProcessNotes.of(tmp_path, "jobs").note("a-run", sleeper.pid)


def test_what_nobody_noted_is_not_known(tmp_path: Path) -> None:
    notes = ProcessNotes.of(tmp_path, "workers")

    assert notes.pid("a-worker") is None
    assert notes.alive() == {}


def test_note_is_forgotten(tmp_path: Path) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")
    notes.note("a-run")

    notes.forget("a-run")
    notes.forget("never-noted")

    assert notes.pid("a-run") is None


def test_half_written_note_says_nothing(tmp_path: Path) -> None:
    notes = ProcessNotes.of(tmp_path, "jobs")
    notes.note("a-run")
    (tmp_path / "run" / "jobs" / "a-run").write_text('{"pid": 1')

    assert notes.pid("a-run") is None
    assert notes.alive() == {}


def test_kinds_are_kept_apart(tmp_path: Path) -> None:
    ProcessNotes.of(tmp_path, "jobs").note("one")

    assert ProcessNotes.of(tmp_path, "workers").pid("one") is None


def test_only_the_newest_notes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_notes, "KEPT", 2)
    notes = ProcessNotes.of(tmp_path, "workers")
    for number in range(4):
        notes.note(f"worker-{number}")
        path = tmp_path / "run" / "workers" / f"worker-{number}"
        os.utime(path, (number, number))

    notes.forget_ended()

    assert sorted(path.name for path in (tmp_path / "run" / "workers").iterdir()) == ["worker-2", "worker-3"]
