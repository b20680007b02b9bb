"""The folders under REDRIVE_HOME, and the lock that lets one `redrive up` or `down` work at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redrive.blocks.core.errors import NoSpace, StackError
from redrive.blocks.core.settings import Settings
from redrive.infra.local.component import Report

#: Bytes that must be free to start: a new PostgreSQL takes 60 MB, Prefect's tables and the logs of a day the rest.
NEEDED = 200 * 1024 * 1024

_PRIVATE = ("run", "logs", "prefect", "results")


def make_folders(settings: Settings) -> None:
    """Make what is missing, and see that there is room.

    Raises:
        StackError: REDRIVE_HOME cannot be made or written to.
        NoSpace: its disk is full.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe = settings.home / ".writable"
        probe.touch()
        probe.unlink()
        for name in _PRIVATE:
            (settings.home / name).mkdir(mode=0o700, exist_ok=True)
        for folder in (settings.socket_folder, temporary_folder(settings)):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space(settings) from None
        raise StackError(
            f"REDRIVE_HOME={settings.home} cannot be written to ({error.strerror}): "
            "change its rights, or set REDRIVE_HOME to another folder"
        ) from None
    _be_ours(settings.socket_folder)
    _be_ours(temporary_folder(settings))
    if shutil.disk_usage(settings.home).free < NEEDED:
        raise _no_space(settings)


def temporary_folder(settings: Settings) -> Path:
    """The jobs' TMPDIR. Prefect's worker keeps files in a folder there that it can't share with another user's."""
    return Path(tempfile.gettempdir()) / f"redrive-{os.geteuid()}-{settings.stack_id}-tmp"


def clear_temporary(settings: Settings) -> None:
    """Remove what killed jobs left. Only when none runs."""
    shutil.rmtree(temporary_folder(settings), ignore_errors=True)


@contextmanager
def only_one(settings: Settings, report: Report) -> Iterator[None]:
    """Hold the stack's lock; wait, and say so, while another process holds it."""
    with (settings.home / "run" / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another `redrive up` or `redrive down` is at work on this stack: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _be_ours(folder: Path) -> None:
    """In the shared temporary folder, another user must not have put it there for us."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        owned = "" if found.st_uid == os.geteuid() else f" and belongs to user {found.st_uid}"
        raise StackError(f"{folder} must be a folder only you may enter, but is open to others{owned}: remove it")


def _no_space(settings: Settings) -> NoSpace:
    free = shutil.disk_usage(settings.home if settings.home.exists() else settings.home.parent).free
    return NoSpace(
        f"the disk under REDRIVE_HOME={settings.home} is full: {free >> 20} MB are free, {NEEDED >> 20} MB are needed; "
        "make room, or set REDRIVE_HOME to a folder on another disk",
        free=free,
        needed=NEEDED,
    )
