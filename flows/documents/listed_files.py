"""The files of a folder as they were when it was listed: what a job is going to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from redrive.blocks.access.local_files import file_names, is_folder, open_file, shown
from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.payloads import Payload
from redrive.blocks.core.settings import settings


class FileRef(Payload):
    """A file as it was when the folder was listed; `raw` is its path as hex where that is no text."""

    path: str
    size: int
    modified_ns: int
    raw: str = ""

    @classmethod
    def of(cls, path: Path, found: os.stat_result) -> FileRef:
        encoded = os.fsencode(path)
        raw = "" if shown(path).encode() == encoded else encoded.hex()
        return cls(path=shown(path), size=found.st_size, modified_ns=found.st_mtime_ns, raw=raw)

    @property
    def place(self) -> Path:
        return Path(os.fsdecode(bytes.fromhex(self.raw)) if self.raw else self.path)

    @property
    def name(self) -> str:
        return shown(self.place.name)


def listed(source: str | Path, pattern: str) -> list[FileRef]:
    """The files to read, by name; folders inside and hidden ones are left out, what is no file is refused when it is read.

    Raises:
        PermanentError: nothing there, outside of the allowed folders, not readable, or no file fits the pattern.
    """
    place = settings().place(source)
    try:
        if is_folder(source):
            names = [name for name in file_names(source) if not name.startswith(".") and PurePath(name).match(pattern)]
            paths = [place / name for name in names]
        else:
            paths = [place]
    except ValueError as error:
        raise PermanentError(f"the pattern {pattern!r} cannot work ({error}): give one like *.pdf") from error
    files = list(_references(paths))
    if not files:
        raise PermanentError(f"no file in {shown(place)} fits the pattern {pattern!r}: check both")
    return files


def _references(paths: list[Path]) -> Iterator[FileRef]:
    for path in paths:
        try:
            if is_folder(path):
                continue
            with open_file(path) as file:
                yield FileRef.of(path, os.fstat(file.fileno()))
        except PermanentError:
            # Refused by name when it is to be read, beside the others; alone, or gone, it is refused now.
            if not os.path.lexists(path):
                if len(paths) > 1:
                    continue
                raise
            yield FileRef.of(path, path.lstat())
