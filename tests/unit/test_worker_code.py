"""Whether a process runs code that was changed on disk since."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redrive.infra.worker.code import Code


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of a project, loaded."""
    path = tmp_path / "code_under_watch.py"
    path.write_text("ANSWER = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("code_under_watch")
    yield path
    del sys.modules["code_under_watch"]


def test_code_that_stays_as_it_is_has_not_changed(module: Path) -> None:
    assert not Code.loaded().changed()


def test_changed_file_is_noticed(module: Path) -> None:
    code = Code.loaded()

    os.utime(module, ns=(1, 1))

    assert code.changed()


def test_change_of_what_was_loaded_before_is_not_forgotten_with_what_is_new(module: Path) -> None:
    code = Code({path: time for path, time in Code.loaded().files.items() if path != __file__})

    os.utime(module, ns=(1, 1))

    more = code.with_new()
    assert __file__ in more.files
    assert more.changed()


def test_file_that_is_gone_is_noticed(module: Path) -> None:
    code = Code.loaded()

    module.unlink()

    assert code.changed()


def test_project_is_watched_and_what_is_installed_is_not(module: Path) -> None:
    files = Code.loaded().files

    assert str(module) in files
    assert not [path for path in files if "site-packages" in path or path == os.__file__]
