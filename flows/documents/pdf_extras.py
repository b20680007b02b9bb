"""What stands in a PDF beside the text of its pages: values of form fields, notes and comments; and a second reader of its text."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import pikepdf
import pypdfium2

from redrive.flows.documents.attachments import Attachments
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.one_line import line

#: Annotations whose text is that of something else: a link's, a form field's, a note's window.
_NO_TEXT_OF_THEIR_OWN = {"/Link", "/Widget", "/Popup"}
#: What a look into a broken document may raise.
_BROKEN = (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
#: Fields and annotations of one document; a form of 1,000 pages has some 50,000.
LIMIT = 200_000
#: How deep fields may lie in fields.
DEPTH = 32


def extras(content: bytes, budget: Budget, attachments: Attachments) -> str:
    """Form fields and annotations as lines, empty if there are none; files inside of it are kept."""
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            fields = [f"{name}: {value}" for name, value in _fields(pdf)]
            notes = [f"Page {page}: {text}" for page, text in _notes(pdf)]
            _keep_files(pdf, attachments)
    except _BROKEN as error:
        budget.leave_out(f"look for form fields, annotations and files inside failed ({line(error)})")
        return ""
    for found, what in ((fields, "form fields"), (notes, "annotations")):
        if len(found) > LIMIT:
            budget.leave_out(f"{what} after the first {LIMIT:,}", len(found) - LIMIT)
            del found[LIMIT:]
    blocks = [("Form fields", fields), ("Annotations", notes)]
    return "\n\n".join(f"{title}:\n" + "\n".join(lines) for title, lines in blocks if lines)


def _keep_files(pdf: pikepdf.Pdf, attachments: Attachments) -> None:
    for name, file in pdf.attachments.items():
        inside = file.get_file()
        attachments.keep(file.filename or name, inside.mime_type or "application/octet-stream", inside.read_bytes())


def second_reading(content: bytes, pages: Sequence[int]) -> dict[int, str]:
    """The text of pages as another reader finds it, where the first found none; only of those that have any. Their numbers begin with 1."""
    found: dict[int, str] = {}
    with contextlib.suppress(pypdfium2.PdfiumError):  # it reads less than the first one: then there is nothing to add
        document = pypdfium2.PdfDocument(content)
        for page in pages:
            if page <= len(document) and (text := document[page - 1].get_textpage().get_text_range().strip()):
                found[page] = text
    return found


def pictures(content: bytes, pages: Sequence[int]) -> list[int]:
    """Which of these pages hold pictures."""
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            return [page for page in pages if page <= len(pdf.pages) and pdf.pages[page - 1].get_images()]
    except _BROKEN:
        # As the look for form fields, which says so.
        return []


def why_empty(content: bytes) -> str:
    """Why two readers found no text."""
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            with_pictures = sum(bool(page.get_images()) for page in pdf.pages)
            pages = len(pdf.pages)
    except _BROKEN:
        return "no reader finds text in it"
    if with_pictures:
        return f"{with_pictures} of its {pages} pages hold pictures, and none a text layer: a scan"
    return "its pages hold neither text nor pictures"


def _fields(pdf: pikepdf.Pdf) -> Iterator[tuple[str, str]]:
    form = pdf.Root.get("/AcroForm")
    todo: list[tuple[Any, str, int]] = (
        [(field, "", 0) for field in reversed(list(form.get("/Fields", [])))] if form else []
    )
    seen: set[tuple[int, int]] = set()
    while todo:
        field, above, depth = todo.pop()
        if depth > DEPTH or not isinstance(field, pikepdf.Dictionary) or (field.is_indirect and field.objgen in seen):
            continue
        seen.add(field.objgen)
        name = ".".join(filter(None, (above, line(field.get("/T")))))
        value = _value(field.get("/V"))
        if value:
            yield name or "unnamed", value
        todo += [(kid, name, depth + 1) for kid in reversed(list(field.get("/Kids", [])))]


def _value(value: Any) -> str | None:
    """A field's value as a line; None for unticked boxes, signatures and empty ones."""
    if isinstance(value, pikepdf.Array):
        return ", ".join(filter(None, (_value(one) for one in value))) or None
    if isinstance(value, pikepdf.Stream):
        return value.read_bytes().decode(errors="replace").strip() or None
    if isinstance(value, pikepdf.Name):
        return None if value == pikepdf.Name.Off else str(value).removeprefix("/")
    if isinstance(value, (pikepdf.String, str, int)):
        return str(value).replace("\r\n", "\n").replace("\r", "\n").strip() or None
    return None


def _notes(pdf: pikepdf.Pdf) -> Iterator[tuple[int, str]]:
    for number, page in enumerate(pdf.pages, 1):
        for note in page.obj.get("/Annots", []):
            if not isinstance(note, pikepdf.Dictionary) or str(note.get("/Subtype")) in _NO_TEXT_OF_THEIR_OWN:
                continue
            text = str(note.get("/Contents", "")).replace("\r\n", "\n").replace("\r", "\n").strip()
            if text:
                yield number, text
