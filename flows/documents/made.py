"""What a sandbox made of a document: its text, its attachments and what was found out about it, read from its answer.

Danger: a document may have taken over the process that wrote it. So the answer is believed only in the form it must have; what it says of
its own document is all it can lie about. No part of it is read twice, or a small answer would fill a store.
"""

from __future__ import annotations

import os
import struct
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from redrive.flows.documents.answer import ENDING, WHOLE
from redrive.flows.documents.budget import ATTACHMENTS_LIMIT
from redrive.flows.documents.formats import Unreadable

#: Bytes of what was found, with all attachments and their names.
FOUND_LIMIT = 16 * 1024**2
#: Characters of a line, and lines of a list: more than a reader writes, and little enough for a record that people see.
LINE_LIMIT, LINES_LIMIT = 5_000, 10_000
_TAKEN_OVER = (
    "cannot be read (its reader gave an impossible answer): look at where it came from, and take it out of the folder"
)


Line = Annotated[str, Field(max_length=LINE_LIMIT)]
Lines = Annotated[list[Line], Field(max_length=LINES_LIMIT)]


class Inside(BaseModel):
    """An attachment, and where it begins in the answer."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1)
    name: Line
    mime: Line
    begin: int = Field(ge=0)
    size: int = Field(ge=0)
    sha256: Line


class Found(BaseModel):
    """What was found out about a document; the fields are those of `DocumentRecord`."""

    model_config = ConfigDict(extra="forbid")

    title: Line | None = None
    authors: Lines = []
    created: Line | None = None
    pages: int | None = None
    language: Line | None = None
    characters: int = 0
    words: int = 0
    empty_because: Line | None = None
    left_out: Lines = []
    reader: Line | None = None
    text_sha256: Line = ""
    attachments: Annotated[list[Inside], Field(max_length=ATTACHMENTS_LIMIT)] = []

    def about(self) -> dict[str, Any]:
        """All but the attachments, for the record."""
        return self.model_dump(exclude={"attachments"})


class Made:
    """One answer, whose sandbox is gone.

    Raises:
        Unreadable: it is not as a reader leaves it.
    """

    def __init__(self, answer: BinaryIO) -> None:
        self._answer = answer.fileno()
        #: Whether something is missing for want of time.
        self.unfinished = False
        size = os.fstat(self._answer).st_size
        try:
            text, found, whole = ENDING.unpack(self._part(size - ENDING.size, ENDING.size))
            if whole != WHOLE or size - ENDING.size - found > FOUND_LIMIT:
                raise struct.error  # noqa: TRY301  (as an ending that cannot be read)
            self.found = Found.model_validate_json(self._part(found, size - ENDING.size - found))
            self.text = self._part(text, found - text)
        except (ValidationError, ValueError, OSError, OverflowError, struct.error):
            raise Unreadable(_TAKEN_OVER) from None
        at = 0
        for one in self.found.attachments:
            if one.begin < at or one.begin + one.size > text:
                raise Unreadable(_TAKEN_OVER)
            at = one.begin + one.size

    def attachment(self, one: Inside) -> bytes:
        """The content of one of them."""
        return self._part(one.begin, one.size)

    def _part(self, begin: int, size: int) -> bytes:
        pieces = []
        while size and (piece := os.pread(self._answer, size, begin)):
            pieces.append(piece)
            begin, size = begin + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
