"""Which file is which format: by content first, by name where content cannot tell.

Danger: a name is a claim. What is read as PDF or Office must look like it, or the file is called corrupt.
"""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path, PurePath

from redrive.blocks.errors import PermanentError

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html"
EML = "message/rfc822"
CSV = "text/csv"
TXT = "text/plain"

BY_ENDING = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".xlsx": XLSX,
    ".html": HTML,
    ".htm": HTML,
    ".eml": EML,
    ".csv": CSV,
    ".txt": TXT,
    ".text": TXT,
    ".md": TXT,
    ".log": TXT,
}

#: What a document of 200 MB unpacked needs is far below this; a bomb is above it.
UNPACKED_LIMIT = 512 * 1024 * 1024
#: Office XML packs about 10 to 1, a table of equal cells 60 to 1; bombs pack 1000 to 1.
RATIO_LIMIT = 200
#: A ratio says something only of files that are big once unpacked.
RATIO_MATTERS_FROM = 10 * 1024 * 1024
#: A workbook of 1,000 sheets with drawings has some 4,000 entries.
ENTRIES_LIMIT = 10_000

#: Bytes; below that, zeros tell nothing.
TWO_CHARACTERS = 4

_OFFICE_PART = {DOCX: "word/", XLSX: "xl/"}
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def format_of(path: Path) -> str:
    """MIME type of a document.

    Raises:
        PermanentError: a format we do not read, an empty file, or content that is not what the name says.
    """
    mime = BY_ENDING.get(path.suffix.lower())
    if mime is None:
        known = ", ".join(sorted({ending.lstrip(".") for ending in BY_ENDING}))
        raise PermanentError(
            f"{path.name} is of no format Redrive reads ({known}): move it out of the folder or give a pattern"
        )
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise PermanentError(f"{path.name} is an empty file of 0 bytes: have it sent again")
    if mime == PDF and b"%PDF-" not in head:
        raise PermanentError(f"{path.name} is no PDF, it only has the name of one: have it sent again")
    if mime in _OFFICE_PART:
        check_archive(path, part=_OFFICE_PART[mime])
    return mime


def check_archive(path: Path, *, part: str) -> None:
    """Refuse an Office file that is no whole archive, or that would unpack into more than a document can be.

    Raises:
        PermanentError: with the reason.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PermanentError(f"{path.name} is corrupt ({error}): have it sent again") from None
    if len(entries) > ENTRIES_LIMIT:
        raise PermanentError(
            f"{path.name} holds {len(entries):,} parts, more than the {ENTRIES_LIMIT:,} a document can have"
        )
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if unpacked > UNPACKED_LIMIT or (unpacked > RATIO_MATTERS_FROM and unpacked / packed > RATIO_LIMIT):
        raise PermanentError(
            f"{path.name} would unpack from {packed:,} to {unpacked:,} bytes, as a zip bomb does: it was not opened"
        )
    for entry in entries:
        name = PurePath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts:
            raise PermanentError(
                f"{path.name} has a part named {entry.filename!r}, which points outside of it: it was not opened"
            )
    if not any(entry.filename.startswith(part) for entry in entries):
        raise PermanentError(f"{path.name} is an archive without {part}, so not what its name says: have it sent again")


def decoded(content: bytes) -> str:
    """Text of a plain file: by its byte order mark, else UTF-16 if every other byte is 0, else UTF-8, else Windows-1252."""
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return content.decode(encoding, errors="replace")
    sample = content[:4096]
    if len(sample) >= TWO_CHARACTERS:
        for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            zeros = sample[offset::2].count(0)
            if zeros > 0.4 * len(sample[offset::2]) and sample[1 - offset :: 2].count(0) < zeros / 4:
                return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
