"""What a sandbox made of a document: a folder with `text.txt`, `found.json` and numbered attachments.

Danger: a document may have taken over the process that wrote it. So nothing is opened there but files that lie in the folder itself, and
what it found is believed only in the form it must have; what it says of its own document is all it can lie about.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from redrive.flows.documents.formats import Unreadable

#: Never follows a link, never waits for a FIFO.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_TAKEN_OVER = (
    "cannot be read (its reader gave an impossible answer): look at where it came from, and take it out of the folder"
)


class Inside(BaseModel):
    """An attachment."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1)
    name: str
    mime: str
    size: int
    sha256: str


class Found(BaseModel):
    """What was found out about a document; the fields are those of `DocumentRecord`."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = None
    authors: list[str] = []
    created: str | None = None
    pages: int | None = None
    language: str | None = None
    characters: int = 0
    words: int = 0
    empty_because: str | None = None
    left_out: list[str] = []
    reader: str | None = None
    text_sha256: str = ""
    attachments: list[Inside] = []

    def about(self) -> dict[str, Any]:
        """All but the attachments, for the record."""
        return self.model_dump(exclude={"attachments"})


class Made:
    """One such folder.

    Raises:
        Unreadable: it is not as a reader leaves it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self.found = Found.model_validate_json(self.read("found.json"))
        except ValidationError:
            raise Unreadable(_TAKEN_OVER) from None

    def open(self, name: str) -> BinaryIO:
        """A file of it."""
        return made_file(self._folder / name)

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    @property
    def text(self) -> bytes:
        return self.read("text.txt")

    def replace_text(self, text: bytes) -> None:
        """Put another text in its place."""
        (self._folder / "text.txt").unlink()
        with (self._folder / "text.txt").open("xb") as file:
            file.write(text)


def made_file(path: Path) -> BinaryIO:
    """A file that a sandbox wrote, and no link to another.

    Raises:
        Unreadable: it is none.
    """
    try:
        file = os.open(path, _READ)
    except OSError:
        raise Unreadable(_TAKEN_OVER) from None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(file)
        raise Unreadable(_TAKEN_OVER)
    return os.fdopen(file, "rb")
