"""Whether a process runs code that was changed on disk since."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redrive.infra.worker.child.code import Code

#: Seconds between writing a test's module and loading it.
LONG = 60


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of a project, loaded."""
    path = tmp_path / "code_under_watch.py"
    path.write_text("ANSWER = 1\n")
    os.utime(path, (time.time() - LONG, time.time() - LONG))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("code_under_watch")
    yield path
    del sys.modules["code_under_watch"]


def test_code_that_stays_as_it_is_has_not_changed(module: Path) -> None:
    assert not Code.loaded(time.time_ns()).changed()


def test_changed_file_is_noticed(module: Path) -> None:
    code = Code.loaded(time.time_ns())

    os.utime(module, ns=(1, 1))

    assert code.changed()


def test_change_of_what_was_loaded_before_is_not_forgotten_with_what_is_new(module: Path) -> None:
    code = Code({path: time for path, time in Code.loaded(time.time_ns()).files.items() if path != __file__})

    os.utime(module, ns=(1, 1))

    more = code.with_new(time.time_ns())
    assert __file__ in more.files
    assert more.changed()


def test_file_saved_while_it_was_loaded_counts_as_changed(module: Path) -> None:
    since = time.time_ns()

    module.write_text("ANSWER = 2\n")

    code = Code.loaded(since)
    assert code.changed()
    assert not Code.loaded(time.time_ns() + 1_000_000_000).changed()


def test_file_from_the_future_is_no_edit(module: Path) -> None:
    since = time.time_ns()

    os.utime(module, (time.time() + LONG, time.time() + LONG))

    assert not Code.loaded(since).changed()


def test_file_that_is_gone_is_noticed(module: Path) -> None:
    code = Code.loaded(time.time_ns())

    module.unlink()

    assert code.changed()


def test_project_is_watched_and_what_is_installed_is_not(module: Path) -> None:
    files = Code.loaded(time.time_ns()).files

    assert str(module) in files
    assert not [path for path in files if "site-packages" in path or path == os.__file__]
