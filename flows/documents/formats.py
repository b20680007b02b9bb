"""Which file is which format: by content first, by name where content cannot tell; and what is refused before it is parsed.

Danger: a name is a claim. What is read as PDF or Office must look like it, or the file is called corrupt.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePath
from typing import Any

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
#: Bytes unpacked at a time.
PIECE = 8 * 1024 * 1024

_OFFICE_PART = {DOCX: "word/", XLSX: "xl/"}

BINARY = "is no text: its bytes are those of a picture, a program or an archive; have it sent again under its own name"


class Unreadable(Exception):  # noqa: N818  (reads as what it says of the document)
    """A document is at fault; the message follows its name: `is no PDF, ...`."""


def by_ending(name: str) -> str:
    """MIME type that a file's name claims.

    Raises:
        Unreadable: a format we do not read.
    """
    mime = BY_ENDING.get(PurePath(name).suffix.lower())
    if mime is None:
        known = ", ".join(sorted({ending.lstrip(".") for ending in BY_ENDING}))
        raise Unreadable(f"is of no format Redrive reads ({known}): move it out of the folder or give a pattern")
    return mime


def check(content: bytes, mime: str) -> None:
    """Refuse content that is not what the name says, or that unpacks into more than a document can be.

    Raises:
        Unreadable: with the reason.
    """
    if not content:
        raise Unreadable("is an empty file of 0 bytes: have it sent again")
    if mime == PDF and b"%PDF-" not in content[:1024]:
        raise Unreadable("is no PDF, it only has the name of one: have it sent again")
    if mime in _OFFICE_PART:
        _check_archive(content, part=_OFFICE_PART[mime])


def extracted(content: bytes, mime: str, **options: Any) -> Any:
    """What kreuzberg finds in a document."""
    import kreuzberg  # noqa: PLC0415  (its first use starts threads, which the template must not have)

    options |= {
        # As many sandboxes run as there are cores: a second thread in each only costs time to make.
        "concurrency": kreuzberg.ConcurrencyConfig(max_threads=1),
        # What it would polish afterwards takes a fifth of a short document's time, and the text is wanted as it stands.
        "enable_quality_processing": False,
        "postprocessor": kreuzberg.PostProcessorConfig(enabled=False),
        # All of it: what it holds to be furniture (running heads, lines that repeat on each page, a page's forms) is text too.
        "content_filter": kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, include_watermarks=True, strip_repeating_text=False
        ),
        "html_options": {"preprocessing": {"enabled": True, "remove_navigation": False, "remove_forms": False}},
    }
    # Its stubs lack `disable_ocr`, which keeps an image in a document from starting an OCR model.
    config = kreuzberg.ExtractionConfig(disable_ocr=True, use_cache=False, **options)  # type: ignore[call-arg]
    return kreuzberg.extract_bytes_sync(content, mime, config=config)


def extracted_pages(content: bytes) -> Any:
    """What kreuzberg finds in a PDF, its pages one by one too."""
    import kreuzberg  # noqa: PLC0415  (as above)

    return extracted(content, PDF, pages=kreuzberg.PageConfig(extract_pages=True))


def _check_archive(content: bytes, *, part: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Unreadable(f"is corrupt ({error}): have it sent again") from None
    if len(entries) > ENTRIES_LIMIT:
        raise Unreadable(f"holds {len(entries):,} parts, more than the {ENTRIES_LIMIT:,} a document can have")
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if unpacked > UNPACKED_LIMIT or (unpacked > RATIO_MATTERS_FROM and unpacked / packed > RATIO_LIMIT):
        raise Unreadable(f"would unpack from {packed:,} to {unpacked:,} bytes, as a zip bomb does: it was not opened")
    for entry in entries:
        name = PurePath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts:
            raise Unreadable(f"has a part named {entry.filename!r}, which points outside of it: it was not opened")
    if not any(entry.filename.startswith(part) for entry in entries):
        raise Unreadable(f"is an archive without {part}, so not what its name says: have it sent again")
    for entry in entries:
        if entry.filename.endswith((".xml", ".rels")) and _unpacked_size(content, entry) != entry.file_size:
            raise Unreadable(
                f"says that its part {entry.filename} is {entry.file_size:,} bytes, and that is not so: have it sent again"
            )


def _unpacked_size(content: bytes, entry: zipfile.ZipInfo) -> int:
    """Bytes a part really has: readers stop where its entry says it ends. One more than it says if it has more."""
    head = content[entry.header_offset : entry.header_offset + 30]
    begin = entry.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    packed = memoryview(content)[begin : begin + entry.compress_size]
    if entry.compress_type == zipfile.ZIP_STORED:
        return len(packed)
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise Unreadable(f"packs its part {entry.filename} in a way Office files do not use: have it sent again")
    unpacker, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, bytes(packed)
    try:
        while not unpacker.eof and size <= entry.file_size and (piece := unpacker.decompress(rest, PIECE)):
            size, rest = size + len(piece), unpacker.unconsumed_tail
    except zlib.error as error:
        raise Unreadable(f"is corrupt ({entry.filename}: {error}): have it sent again") from None
    return size if unpacker.eof else size + 1
