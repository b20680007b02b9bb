"""A file that a parameter names, held open: however often it is read, it is the file that was judged, whatever its path leads to by then.

    with held_file("inbox/orders.csv") as file:
        with file.open() as reading: ...        from its start, as often as needed
        file.check_unchanged()                  nobody wrote to it meanwhile
    with held_file("shop.db", beside=("-wal", "-shm", "-journal")) as file:
        library.open(file.path)                 for libraries that take nothing but a path
        file.check_opened()                     before the first byte of it is believed

Danger: a path that was judged may name something else when a library opens it. So that library's own descriptor is compared with ours
before it is asked for anything. And ours must outlive it: closing any descriptor of a file gives up all locks a process has on it (fcntl).
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redrive.blocks.access.local_files import open_file, real_path, shown
from redrive.blocks.core.errors import PermanentError, RedriveError

#: Bytes read at once.
_BUFFER = 1 << 20


class FileChanged(RedriveError):  # noqa: N818  (reads as what happened, as in `errors`)
    """A file was written to or replaced while it was read; another try may find it complete."""


class HeldFile:
    """An open file; `held_file` makes it."""

    def __init__(self, given: str | Path, path: Path, descriptor: int) -> None:
        #: The real path, when it was judged.
        self.path = path
        self._given = shown(given)
        self._descriptor = descriptor
        self._found = os.fstat(descriptor)
        self._held = self._descriptors()

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """A reader of its own that begins at the start."""
        if mode != "rb":
            raise ValueError(mode)
        return io.BufferedReader(_Reader(self._descriptor), _BUFFER)

    def check_unchanged(self) -> None:
        """Refuse what was written to since it was opened.

        Raises:
            FileChanged: it was.
        """
        now = os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (self._found.st_size, self._found.st_mtime_ns):
            raise FileChanged(
                f"{self._given} was written to while it was read: let it be moved into its folder when it is complete"
            )

    def check_opened(self) -> None:
        """Refuse a library's having opened another file under our path.

        Raises:
            FileChanged: it has.
        """
        if self._descriptors() <= self._held:
            raise FileChanged(f"{self._given} was replaced while it was opened: let its folder rest")

    def _descriptors(self) -> int:
        """How many of this process lead to the file."""
        count = 0
        for name in os.listdir("/dev/fd"):  # noqa: PTH208  (names are wanted, and it is a folder of numbers)
            try:
                count += os.path.samestat(os.fstat(int(name)), self._found)
            except OSError:  # the listing's own, closed by now
                continue
        return count


class _Reader(io.RawIOBase):
    """Reads a descriptor from a place of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any writable buffer
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count


@contextmanager
def held_file(given: str | Path, *, beside: Sequence[str] = ()) -> Iterator[HeldFile]:
    """Hold a regular file inside the allowed folders open.

    Args:
        beside: endings of files that a library opens beside it, which must be regular files too.

    Raises:
        PermanentError: as `open_file`, of the file or what lies beside it.
    """
    with open_file(given) as file:
        path = real_path(given)
        for ending in beside:
            _check_beside(path.with_name(path.name + ending))
        yield HeldFile(given, path, file.fileno())


def _check_beside(path: Path) -> None:
    """A FIFO there would keep the library waiting, a link would lead it elsewhere."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise PermanentError(f"{shown(path)} is no regular file: take it out of the folder")
