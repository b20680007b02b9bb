"""Documents in a store: each in the folder named by its content's checksum, `document.json` written last.

Danger: a record is used again for as long as its file is the same. So one is believed only if it was made by this reader and what
lies beside it is what it says; whatever changes what a document becomes must change `READER`.
"""

from __future__ import annotations

import hashlib
import threading
from importlib.metadata import version
from pathlib import PurePath

from pydantic import ValidationError

from redrive.blocks.core.payloads import Attachment, DocumentRecord
from redrive.flows.documents import formats
from redrive.flows.documents.content import Content
from redrive.flows.documents.made import Made
from redrive.flows.stores import Store

#: Version of what Redrive itself makes of documents.
READER = 4
EXTRACTOR = f"kreuzberg {version('kreuzberg')}, Redrive's reader {READER}"

#: Long enough to recognise, short enough for every file system together with the number in front.
NAME_LIMIT = 100

#: Formats of which the same bytes become the same text.
_ALIKE = {formats.TXT, formats.CSV}


class Library:
    """The documents of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: By the first digit of the checksum: the same bytes may come under two names at once.
        self._adding = {digit: threading.Lock() for digit in "0123456789abcdef"}

    def known(self, checksum: str, mime: str) -> DocumentRecord | None:
        """The record of a content that was read before; None if there is none, or it cannot be believed."""
        folder, record = self._place(checksum, mime)
        if record is None or record.extractor != EXTRACTOR or record.checksum != checksum or record.unfinished:
            return None
        files = {f"{folder}/text.txt": record.text_sha256}
        for number, one in enumerate(record.attachments, 1):
            files[_attachment(folder, number, one.name)] = one.sha256
        for path, sha256 in files.items():
            stored = self._store.read(path)
            if stored is None or hashlib.sha256(stored).hexdigest() != sha256:
                return None
        return record.model_copy(update={"mime": mime, "stored_before": True})

    def add(self, content: Content, mime: str, made: Made, **about: str) -> DocumentRecord:
        """Store what a sandbox made of a content.

        Args:
            about: `name` and `source` of the file.
        """
        with self._adding[content.checksum[0]]:
            return self._add(content, mime, made, **about)

    def _add(self, content: Content, mime: str, made: Made, **about: str) -> DocumentRecord:
        folder, _ = self._place(content.checksum, mime)
        attachments = tuple(
            Attachment(
                path=self._store.write(_attachment(folder, one.number, one.name), made.attachment(one)),
                **one.model_dump(exclude={"number", "begin"}),
            )
            for one in made.found.attachments
        )
        self._store.write(f"{folder}/text.txt", made.text)
        record = DocumentRecord(
            **about,
            **made.found.about(),
            checksum=content.checksum,
            size=content.size,
            mime=mime,
            attachments=attachments,
            extractor=EXTRACTOR,
            empty=not made.found.characters,
            unfinished=made.unfinished,
            location=self._store.location(folder),
        )
        # Written last: whoever finds this file finds all of the document.
        self._store.write(f"{folder}/document.json", record.model_dump_json(indent=2).encode())
        return record

    def _place(self, checksum: str, mime: str) -> tuple[str, DocumentRecord | None]:
        """Folder and its record: the checksum; where the same bytes already lie as another format (a page's source, named .txt), with
        the format.
        """
        there = self._record(checksum)
        if there is None or there.mime == mime or {there.mime, mime} <= _ALIKE:
            return checksum, there
        folder = f"{checksum}-{mime.rpartition('/')[2].rpartition('.')[2]}"
        return folder, self._record(folder)

    def _record(self, folder: str) -> DocumentRecord | None:
        stored = self._store.read(f"{folder}/document.json")
        try:
            return DocumentRecord.model_validate_json(stored) if stored else None
        except ValidationError:
            # Cut off, or another program's: it is made anew.
            return None


def safe_name(name: str) -> str:
    """A file name made from what a stranger wrote: no folder, no control or odd character, not hidden."""
    last = PurePath(name.replace("\\", "/")).name if name.strip("./\\") else ""
    kept = "".join(c if c.isalnum() or c in "-_. ()" else "_" for c in last).strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if not dot:
        return kept[:NAME_LIMIT] or "unnamed"
    return f"{stem[: NAME_LIMIT - 10]}.{ending[:9]}"


def _attachment(folder: str, number: int, name: str) -> str:
    return f"{folder}/attachments/{number:03}-{safe_name(name)}"
