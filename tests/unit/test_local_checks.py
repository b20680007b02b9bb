"""What `redrive up` looks at before it starts anything, and what it tells supervisord."""

from __future__ import annotations

import configparser
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from redrive.blocks.core.errors import NoSpace, StackError
from redrive.blocks.core.settings import Settings
from redrive.infra.local import folders
from redrive.infra.local.component import last_lines
from redrive.infra.local.components.all import components
from redrive.infra.local.folders import make_folders
from redrive.infra.local.supervisor import configuration


def settings(home: Path, **more: str) -> Settings:
    return Settings.load({"REDRIVE_HOME": str(home), **more})


def test_too_little_space_says_how_much_is_free_and_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))

    with pytest.raises(NoSpace, match=r"5 MB are free, 200 MB are needed"):
        make_folders(settings(tmp_path / "home"))


def test_folders_with_secrets_are_closed_to_others(tmp_path: Path):
    make_folders(settings(tmp_path / "home"))

    for name in ("run", "logs", "prefect", "results"):
        assert stat.S_IMODE((tmp_path / "home" / name).stat().st_mode) == 0o700


def test_a_socket_folder_open_to_others_is_refused(tmp_path: Path):
    given = settings(tmp_path / ("long" * 30))
    given.socket_folder.mkdir(mode=0o755)
    try:
        with pytest.raises(StackError, match="only you may enter"):
            make_folders(given)
    finally:
        shutil.rmtree(given.socket_folder)


def test_configuration_holds_every_component_and_no_secret(tmp_path: Path):
    given = settings(tmp_path / "100 % home", REDRIVE_DATABASE_URL="postgresql://me:topsecret@db/redrive")

    written = configuration(given, components(given))

    assert "topsecret" not in written
    read = configparser.RawConfigParser()
    read.read_string(written)
    assert [name for name in read.sections() if name.startswith("program:")] == [
        f"program:{part.name}" for part in components(given)
    ]


def test_every_need_of_a_component_is_a_component_before_it(tmp_path: Path):
    before: set[str] = set()
    for part in components(settings(tmp_path)):
        assert before.issuperset(part.needs), part.name
        before.add(part.name)


def test_last_lines_of_a_log_are_quoted_and_a_missing_log_is_empty(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(5000)))

    assert last_lines(log, 2) == "line 4998\nline 4999"
    assert last_lines(tmp_path / "none") == ""
