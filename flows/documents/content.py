"""A file's content as a private copy: hashed, checked, stored and parsed are the same bytes, whatever becomes of the file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from redrive.blocks.access.local_files import open_file, shown
from redrive.blocks.core.errors import PermanentError
from redrive.flows.documents.reading_stopped import ReadingStopped

#: Larger than any document of an office, smaller than what would fill memory when it is stored.
SIZE_LIMIT = 200 * 1024 * 1024
#: Bytes copied at a time.
PIECE = 1024 * 1024

_SEALS = (
    fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    if hasattr(fcntl, "F_SEAL_SEAL")
    else None
)


@dataclass(frozen=True)
class Content:
    """An open file that only its holders have, its size and the SHA-256 of it as hex."""

    file: int
    size: int
    checksum: str


@contextmanager
def private_copy(path: str | Path) -> Iterator[Content]:
    """The content of a file inside the allowed folders; gone afterwards.

    Raises:
        PermanentError: it is outside of them, no file, not readable or too large.
        ReadingStopped: somebody wrote to it meanwhile.
    """
    with open_file(path) as file, _unnamed_file() as copy:
        before = os.fstat(file.fileno())
        digest, size = hashlib.sha256(), 0
        if before.st_size > SIZE_LIMIT:
            raise PermanentError(f"{shown(path)} is larger than {SIZE_LIMIT // 1024**2} MB: take it out of the folder")
        # A file that grows is read no further than it was long: it may grow as fast as it is read.
        while size <= before.st_size and (piece := file.read(PIECE)):
            size += len(piece)
            digest.update(piece)
            copy.write(piece)
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
            raise ReadingStopped(
                "was written to while it was read: let it be moved into the folder when it is complete"
            )
        yield Content(_closed_to_writers(copy), size, digest.hexdigest())


@contextmanager
def sealed(content: bytes) -> Iterator[int]:
    """An open file with that content, which nobody can change."""
    with _unnamed_file() as copy:
        copy.write(content)
        yield _closed_to_writers(copy)


def _closed_to_writers(copy: BinaryIO) -> int:
    copy.flush()
    if _SEALS is not None:
        fcntl.fcntl(copy.fileno(), fcntl.F_ADD_SEALS, _SEALS)
    copy.seek(0)
    return copy.fileno()


def _unnamed_file() -> BinaryIO:
    if hasattr(os, "memfd_create") and _SEALS is not None:
        return os.fdopen(os.memfd_create("redrive-document", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
    return tempfile.TemporaryFile()
