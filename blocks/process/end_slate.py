"""The slate of a process: what it noted last, in a file that is mapped into its memory, so that a note costs no call to the kernel.

What was written into a shared mapping is the file's, in whatever way the process ends. Two halves are written in turn: a note that is
cut off leaves the one before.

Danger: only the process that made a slate writes on it; others wipe it, when that process is gone or does nothing.
"""

from __future__ import annotations

import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from redrive.blocks.process.identity import ProcessIdentity

SUFFIX = ".slate"
#: Bytes at the beginning that tell whose it is, and of each half.
_OWNER, _HALF = 4096, 128 * 1024
_HALVES = (_OWNER, _OWNER + _HALF)
_SIZE = _OWNER + 2 * _HALF
#: Of a half: number, length and checksum of its note, written after it.
_HEADER = struct.Struct("<QII")
#: Bytes of the longest note that goes on it.
LONGEST = _HALF - _HEADER.size


class EndSlate:
    """That of the calling process."""

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self._path = path
        self._memory = memory
        self._number = 0
        for _ in _HALVES:
            # Their pages are there from now on.
            self.wipe()

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Raises `OSError`: the disk takes none."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{secrets.token_hex(8)}{SUFFIX}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, json.dumps(ProcessIdentity.of().note()).encode())
            # All of it now: a page for which the disk has no room later would end the process.
            os.posix_fallocate(file, 0, _SIZE)
            return cls(path, mmap.mmap(file, _SIZE))
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)

    def write(self, note: bytes) -> bool:
        """Note this instead of what was noted; False if it is too long."""
        if len(note) > LONGEST:
            return False
        self._number += 1
        start = _HALVES[self._number % 2]
        text = start + _HEADER.size
        self._memory[start:text] = bytes(_HEADER.size)
        self._memory[text : text + len(note)] = note
        self._memory[start:text] = _HEADER.pack(self._number, len(note), zlib.crc32(note))
        return True

    def wipe(self) -> None:
        self.write(b"")

    def remove(self) -> None:
        """Its process ends, and has nothing more to note."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class FoundSlate:
    """One as others find it. `note` is what it says, None if nothing."""

    path: Path
    owner: ProcessIdentity | None
    note: bytes | None

    @classmethod
    def all(cls, folder: Path) -> Iterator[FoundSlate]:
        for path in folder.glob(f"*{SUFFIX}"):
            with suppress(OSError, ValueError):
                with path.open("rb") as file:
                    owner = ProcessIdentity.read(json.loads(file.read(_OWNER).rstrip(b"\0") or b"{}"))
                    _, note = max(_read(file, start) for start in _HALVES)
                yield cls(path, owner, note or None)

    @property
    def is_left(self) -> bool:
        """Whether its process, of this host, has ended."""
        return self.owner is not None and self.owner.is_here and not self.owner.lives

    def wipe(self) -> None:
        """Whoever needed the note has it."""
        with suppress(OSError):
            if self.is_left:
                self.path.unlink(missing_ok=True)
                return
            with self.path.open("r+b") as file:
                for start in _HALVES:
                    file.seek(start)
                    file.write(bytes(_HEADER.size))


def _read(file: BinaryIO, start: int) -> tuple[int, bytes]:
    """Number and note of a half; 0 if it was cut off."""
    file.seek(start)
    number, length, checksum = _HEADER.unpack(file.read(_HEADER.size))
    note = file.read(min(length, LONGEST))
    return (number, note) if len(note) == length and zlib.crc32(note) == checksum else (0, b"")
