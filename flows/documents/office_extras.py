"""What stands in an Office file beside its text and tables: running heads and feet, comments, text boxes of sheets."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from redrive.flows.documents import formats
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.one_line import line

#: Title and parts of each format; all that is found stands below the text.
_PARTS = {
    formats.DOCX: (
        ("Header", re.compile(r"word/header\d*\.xml")),
        ("Footer", re.compile(r"word/footer\d*\.xml")),
        ("Comments", re.compile(r"word/comments\d*\.xml")),
    ),
    formats.XLSX: (
        ("Comments", re.compile(r"xl/(?:comments|threadedComments)/?[\w-]*\.xml")),
        ("Text boxes", re.compile(r"xl/drawings/drawing\d+\.xml")),
    ),
}
#: Elements that end a line: paragraphs, and a comment of a sheet.
_BLOCKS = {"p", "comment", "threadedComment"}


def extras(content: bytes, mime: str, budget: Budget) -> str:
    """Those texts, each once; empty if there are none."""
    found: list[str] = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        for title, wanted in _PARTS[mime]:
            lines: dict[str, None] = {}
            for name in names:
                if wanted.fullmatch(name):
                    try:
                        lines |= dict.fromkeys(_lines(archive.read(name)))
                    except (ET.ParseError, zipfile.BadZipFile, RuntimeError, ValueError) as error:
                        budget.leave_out(f"part {line(name)}, which cannot be read ({line(error)})")
            if lines:
                found.append(f"{title}:\n" + "\n".join(lines))
    return "\n\n".join(found)


def _lines(part: bytes) -> Iterator[str]:
    """Its paragraphs that hold text, a sheet's comments with their cell."""
    # Entities that grow are refused by expat itself, and the sandbox has limits.
    for element in ET.fromstring(part).iter():  # noqa: S314
        if _name(element) not in _BLOCKS or any(_name(one) in _BLOCKS for one in element.iter() if one is not element):
            continue
        text = " ".join("".join(_texts(element)).split())
        cell = element.get("ref")
        if text:
            yield f"{cell}: {text}" if cell else text


def _texts(element: ET.Element) -> Iterator[str]:
    for one in element.iter():
        match _name(one):
            case "t" | "text":
                yield one.text or ""
            case "tab" | "br":
                yield " "


def _name(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]
