"""A file that is read more than once, or by a library that opens its path: it stays the one that was judged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from redrive.blocks.access.held_file import FileChanged, held_file
from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.settings import settings
from redrive.flows.sync.source.opened import opened


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder jobs may read, beside one they may not; in both lies a shop.db."""
    for name, place in (("home/inbox", "ours"), ("elsewhere", "private")):
        (tmp_path / name).mkdir(parents=True)
        with closing(sqlite3.connect(tmp_path / name / "shop.db")) as database:
            database.execute("create table data (id integer primary key, place text)")
            database.execute("insert into data values (1, ?)", [place])
            database.commit()
    monkeypatch.setenv("REDRIVE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REDRIVE_FILE_ROOTS", raising=False)
    settings.cache_clear()
    yield tmp_path / "home" / "inbox"
    settings.cache_clear()


def swapped(inbox: Path) -> None:
    """The folder becomes a link to the forbidden one."""
    inbox.rename(inbox.with_name("was"))
    inbox.symlink_to(inbox.parent.parent / "elsewhere")


def rows_of(source: str) -> bytes:
    with opened(source, source_table="data" if source.endswith(".db") else None) as found:
        return b"".join(found.blocks())


def test_sqlite_reads_no_other_file_than_the_one_that_was_judged(inbox: Path, monkeypatch: pytest.MonkeyPatch):
    """The moment between is held open: the folder becomes a link to a forbidden one right before SQLite opens the path."""
    assert rows_of("inbox/shop.db") == b"1,ours\n"
    plain = sqlite3.connect

    def connect_after_the_swap(*arguments: object, **options: object) -> sqlite3.Connection:
        if not inbox.is_symlink():
            swapped(inbox)
        return plain(*arguments, **options)  # type: ignore[call-overload, no-any-return]  # as it was called

    monkeypatch.setattr(sqlite3, "connect", connect_after_the_swap)
    with pytest.raises(FileChanged, match=r"inbox/shop\.db was replaced while it was opened"):
        rows_of("inbox/shop.db")


@pytest.mark.parametrize("ending", ["-wal", "-journal", "-shm"])
def test_what_lies_beside_a_database_must_be_a_file_too(inbox: Path, ending: str):
    os.mkfifo(inbox / f"shop.db{ending}")
    with pytest.raises(PermanentError, match=f"shop.db{ending} is no regular file"):
        rows_of("inbox/shop.db")
    (inbox / f"shop.db{ending}").unlink()
    (inbox / f"shop.db{ending}").symlink_to("/etc/hostname")
    with pytest.raises(PermanentError, match=f"shop.db{ending} is no regular file"):
        rows_of("inbox/shop.db")


def test_rows_not_yet_written_into_the_database_file_are_read_too(inbox: Path):
    with closing(sqlite3.connect(inbox / "shop.db")) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("insert into data values (2, 'in the log')")
        database.commit()
        assert rows_of("inbox/shop.db") == b"1,ours\n2,in the log\n"


@pytest.mark.parametrize("name", ["stock.csv", "stock.json"])
def test_file_read_twice_is_the_same_file_when_its_folder_is_swapped(inbox: Path, name: str):
    content = {"stock.csv": "id\n1\n", "stock.json": '[{"id": 1}]'}[name]
    (inbox / name).write_text(content)
    (inbox.parent.parent / "elsewhere" / name).write_text(content.replace("1", "99"))
    with opened(f"inbox/{name}") as found:
        swapped(inbox)
        assert b"".join(found.blocks()) == b"1\n"


def test_file_that_is_written_to_while_it_is_read_is_no_source_yet(inbox: Path):
    path = inbox / "stock.csv"
    path.write_text("id,name\n1,cut o")
    with opened("inbox/stock.csv") as found:
        list(found.blocks())
    with pytest.raises(FileChanged, match="written to while it was read"), opened("inbox/stock.csv"):
        path.write_text("id,name\n1,cut off\n2,more\n")


def test_fifo_in_place_of_a_source_is_refused_at_once(inbox: Path):
    os.mkfifo(inbox / "later.db")
    with pytest.raises(PermanentError, match="is a FIFO"), held_file("inbox/later.db"):
        pass
