"""Files named by parameters: only regular ones, only inside the allowed folders, whatever links say."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from redrive.blocks.access import local_files as file_access
from redrive.blocks.access.local_files import file_names, is_folder, open_file, real_path
from redrive.blocks.core.errors import PermanentError, SettingsError
from redrive.blocks.core.settings import Settings, settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A REDRIVE_HOME with an inbox and a password, beside a folder nobody allowed."""
    home = tmp_path / "home"
    (home / "inbox").mkdir(parents=True)
    (home / "inbox" / "order.txt").write_text("three apples")
    (home / "secrets").mkdir()
    (home / "secrets" / "prefect-auth").write_text("admin:secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "private.txt").write_text("not yours")
    monkeypatch.setenv("REDRIVE_HOME", str(home))
    monkeypatch.delenv("REDRIVE_FILE_ROOTS", raising=False)
    settings.cache_clear()
    yield home
    settings.cache_clear()


def content(given: str | Path) -> str:
    with open_file(given) as file:
        return file.read().decode()


def refused(given: str | Path) -> str:
    with pytest.raises(PermanentError) as error:
        open_file(given)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_file_in_the_home_is_opened_by_relative_and_absolute_path(home: Path):
    assert content("inbox/order.txt") == content(home / "inbox" / "order.txt") == "three apples"
    assert real_path("inbox/order.txt") == home / "inbox" / "order.txt"
    assert real_path(home / "inbox" / "order.txt") == home / "inbox" / "order.txt"
    assert file_names("inbox") == ["order.txt"]


@pytest.mark.parametrize("given", ["/etc/shadow", "../elsewhere/private.txt", "inbox/../../elsewhere/private.txt"])
def test_path_outside_is_refused_with_the_setting_to_change(home: Path, given: str):
    assert "outside of the folders jobs may read" in refused(given)
    assert "REDRIVE_FILE_ROOTS" in refused(given)


def test_setting_allows_further_folders(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDRIVE_FILE_ROOTS", f"/nowhere:{home.parent / 'elsewhere'}")
    settings.cache_clear()
    assert content(home.parent / "elsewhere" / "private.txt") == "not yours"
    assert "outside" in refused("/etc/shadow")


def test_setting_with_a_relative_folder_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="'inbox' must begin with /"):
        Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_FILE_ROOTS": "/srv:inbox"})


@pytest.mark.parametrize("folder", file_access.CLOSED)
def test_folders_of_the_stack_itself_are_closed_even_inside_an_allowed_one(
    home: Path, monkeypatch: pytest.MonkeyPatch, folder: str
):
    monkeypatch.setenv("REDRIVE_FILE_ROOTS", "/")
    settings.cache_clear()
    (home / folder).mkdir(exist_ok=True)
    (home / folder / "file").write_text("x")
    assert "belongs to the stack itself" in refused(f"{folder}/file")
    (home / "inbox" / "link").symlink_to(home / folder / "file")
    assert "belongs to the stack itself" in refused("inbox/link")


def test_link_inside_is_followed_and_link_outside_is_refused_by_both_names(home: Path):
    (home / "inbox" / "same.txt").symlink_to(home / "inbox" / "order.txt")
    (home / "inbox" / "out.txt").symlink_to(home.parent / "elsewhere" / "private.txt")
    (home / "inbox" / "folder").symlink_to(home.parent / "elsewhere")
    assert content("inbox/same.txt") == "three apples"
    assert "inbox/out.txt leads to" in refused("inbox/out.txt")
    assert "private.txt" in refused("inbox/folder/private.txt")
    with pytest.raises(PermanentError, match="outside"):
        file_names("inbox/folder")
    with pytest.raises(PermanentError, match="outside"):
        is_folder("inbox/folder")


def test_second_name_of_a_password_is_refused(home: Path):
    (home / "inbox" / "hard.txt").hardlink_to(home / "secrets" / "prefect-auth")
    assert "password of the stack" in refused("inbox/hard.txt")


def test_link_that_turns_round_between_judging_and_opening_is_not_followed(home: Path, monkeypatch: pytest.MonkeyPatch):
    """The moment between is held open: the folder becomes a link to a forbidden one right after it was judged."""
    judge = file_access._allowed

    def judged_then_swapped(given: str | Path) -> tuple[Path, Path]:
        answer = judge(given)
        (home / "inbox").rename(home / "was")
        (home / "inbox").symlink_to(home.parent / "elsewhere")
        return answer

    (home / "inbox" / "private.txt").write_text("harmless")
    monkeypatch.setattr(file_access, "_allowed", judged_then_swapped)
    assert "cannot be read" in refused("inbox/private.txt")


def test_what_is_no_file_is_refused_at_once_and_by_kind(home: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(home / "inbox" / "fifo")
    (home / "inbox" / "sub").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(home / "inbox")
        listening.bind("sock")
    assert "is a FIFO, not a file" in refused("inbox/fifo")
    assert "is a socket, not a file" in refused("inbox/sock")
    assert "is a folder, not a file" in refused("inbox/sub")
    assert "is a folder, not a file" in refused(".")
    monkeypatch.setenv("REDRIVE_FILE_ROOTS", "/dev")
    settings.cache_clear()
    assert "is a device, not a file" in refused("/dev/zero")


@pytest.mark.parametrize(
    ("given", "said"), [("a\0b", "is no path"), ("~nobody-here/x", "is no path"), ("inbox/none", "does not exist")]
)
def test_impossible_and_missing_paths_are_named(home: Path, given: str, said: str):
    assert said in refused(given)


def test_name_that_is_no_text_is_opened_and_shown_escaped(home: Path):
    name = os.fsdecode(b"caf\xe9.txt")
    (home / "inbox" / name).write_text("x")
    assert content(home / "inbox" / name) == "x"
    assert "caf\\xe9-missing" in refused(home / "inbox" / os.fsdecode(b"caf\xe9-missing"))
