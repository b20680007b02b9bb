"""Opens the files that a job's parameters name: regular files inside the folders jobs may read, and nothing else.

Whoever may enqueue a job chooses its paths, and whoever may write to a folder chooses what its links lead to; neither may
thereby read what the worker's user can (`/etc/shadow`, the stack's own password). Allowed are REDRIVE_HOME without the
stack's own folders in it (`CLOSED`) and the folders of REDRIVE_FILE_ROOTS. A link counts as what it leads to.

    with open_file("inbox/order.pdf") as file: ...      relative paths count from REDRIVE_HOME
    for name in file_names("inbox"): ...                then `open_file` for each
    with held_file("shop.db") as file: ...              `held_file.py`: read more than once, or by a library that wants a path

All raise `PermanentError`, one sentence with the path and what to do.

Danger: a path that was judged may name something else a moment later. So what is judged is the real path, and it is opened
part by part without following links, and what was opened is asked what it is. `real_path` alone cannot promise that.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.settings import Settings, settings

#: Folders of REDRIVE_HOME that belong to the stack: passwords, sockets, databases, what jobs returned, logs.
CLOSED = ("secrets", "run", "postgres", "valkey", "prefect", "results", "logs")

#: Opens a folder only to go on from it, which needs no right to list it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Never waits for the other end of a FIFO, never makes a terminal ours.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link that changes while it is opened"),
)


def open_file(given: str | Path) -> BufferedReader:
    """A regular file inside the allowed folders, open for reading in binary.

    Raises:
        PermanentError: it is outside of them, no regular file, not there or not readable.
    """
    root, real = _allowed(given)
    *folders, name = real.relative_to(root).parts or (".",)
    try:
        folder = _descend(root, folders)
        try:
            # Asked before it is opened, since opening a device can already do something.
            _refuse_special(given, os.stat(name, dir_fd=folder, follow_symlinks=False))
            file = os.open(name, _READ, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unreadable(given, error) from error
    try:
        found = os.fstat(file)
        _refuse_special(given, found)
        _refuse_secret(given, found)
    except BaseException:
        os.close(file)
        raise
    return os.fdopen(file, "rb")


def file_names(given: str | Path) -> list[str]:
    """Names of everything in a folder inside the allowed ones, in order; the folder itself may be one of them.

    Raises:
        PermanentError: it is outside of them, no folder, not there or not readable.
    """
    root, real = _allowed(given)
    try:
        above = _descend(root, real.relative_to(root).parts)
        try:
            folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
        finally:
            os.close(above)
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208  (the folder is open; its path may be another's by now)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unreadable(given, error) from error


def real_path(given: str | Path) -> Path:
    """Where a path inside the allowed folders really leads, to compare or to show; `held_file` for what is opened by it.

    Raises:
        PermanentError: it is outside of them, or has an impossible name.
    """
    return _allowed(given)[1]


def is_folder(given: str | Path) -> bool:
    """Whether it is a folder inside the allowed ones.

    Raises:
        PermanentError: it is outside of them, or has an impossible name.
    """
    return _allowed(given)[1].is_dir()


def shown(path: str | Path) -> str:
    """A path for people: on one line, with what is no text or cannot be printed escaped."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _allowed(given: str | Path) -> tuple[Path, Path]:
    """The allowed folder a path lies in, and where it really leads; judged before anything there is touched."""
    here = settings()
    try:
        place = here.place(given)
        real = Path(os.path.realpath(place))
    except (ValueError, RuntimeError) as error:  # a zero byte in it, or ~nobody
        raise PermanentError(f"{os.fspath(given)!r} is no path ({error}): check it") from None
    home = Path(os.path.realpath(here.home))
    for name in CLOSED:
        if real.is_relative_to(home / name):
            raise PermanentError(
                f"{shown(given)} leads into {home / name}, which belongs to the stack itself: jobs do not read there"
            )
    for root in (home, *(Path(os.path.realpath(root)) for root in here.file_roots)):
        if real.is_relative_to(root):
            return root, real
    raise PermanentError(
        f"{shown(given)}{'' if real == place else f' leads to {shown(real)}, which'} is outside of the folders jobs may "
        f"read: move it into {home}, or add its folder to the setting REDRIVE_FILE_ROOTS"
    )


def _descend(root: Path, parts: Sequence[str]) -> int:
    """The folder below a root, opened part by part; a part that has become a link meanwhile is no folder."""
    folder = os.open(root, _PASS)
    for part in parts:
        above = folder
        try:
            folder = os.open(part, _PASS, dir_fd=above)
        finally:
            os.close(above)
    return folder


def _refuse_special(given: str | Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(found.st_mode)), "something else")
        raise PermanentError(f"{shown(given)} is {kind}, not a file: take it out, or name a file")


def _refuse_secret(given: str | Path, found: os.stat_result) -> None:
    """A second name of one of the stack's passwords (a hard link) is that password."""
    if found.st_nlink > 1 and any(os.path.samestat(found, secret) for secret in _secrets(settings())):
        raise PermanentError(f"{shown(given)} is a link to a password of the stack itself: jobs do not read it")


def _secrets(here: Settings) -> list[os.stat_result]:
    folder = here.auth_file.parent
    return [path.stat() for path in folder.rglob("*") if path.is_file()]


def _unreadable(given: str | Path, error: OSError) -> PermanentError:
    if error.errno == errno.ENOENT:
        return PermanentError(f"{shown(given)} does not exist: check the path")
    return PermanentError(
        f"{shown(given)} cannot be read ({error.strerror}): check the path and its permissions for the worker's user"
    )
