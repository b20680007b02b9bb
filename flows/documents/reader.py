"""Reads one document inside a sandbox: text, metadata, attachments.

Writes text, attachments and what it found into the answer.

Danger: everything here handles hostile input. It runs in a process that `confinement` has confined and that ends afterwards;
outside of one nothing may call it.
"""

from __future__ import annotations

import email
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from redrive.flows.documents import charset, formats, office_extras
from redrive.flows.documents.answer import Answer
from redrive.flows.documents.attachments import Attachments
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.language import language
from redrive.flows.documents.mail_parts import POLICY, MailReader, head, is_mail, note_damage
from redrive.flows.documents.one_line import line
from redrive.flows.documents.page import page

#: The reader of PDFs where kreuzberg finds no text.
SECOND = "pypdfium2"
#: Pages without text that are named.
PAGES_NAMED = 20


def read(content: bytes, answer: Answer, mime: str) -> None:
    """Read a document into an answer.

    Raises:
        Unreadable: the document is at fault.
    """
    formats.check(content, mime)
    budget = Budget()
    text, found = _READERS[mime](content, answer, budget)
    text = budget.fitting(text.replace("\r\n", "\n").replace("\x00", "").strip())
    stored = text.encode(errors="replace")
    found["language"] = language(text)
    found |= {
        "characters": len(text),
        "words": len(text.split()),
        "text_sha256": hashlib.sha256(stored).hexdigest(),
        "left_out": budget.left_out,
    }
    if not text:
        found.setdefault("empty_because", "it holds no text")
    answer.finish(stored, found)


def _plain(content: bytes, _answer: Answer, _budget: Budget) -> tuple[str, dict[str, Any]]:
    text = charset.decoded(content)
    if charset.is_binary(content, text):
        raise Unreadable(formats.BINARY)
    return text, {}


def _html(content: bytes, _answer: Answer, _budget: Budget) -> tuple[str, dict[str, Any]]:
    text, result = page(content)
    return text, _about(result)


def _office(content: bytes, mime: str, budget: Budget) -> tuple[str, dict[str, Any]]:
    result = formats.extracted(content, mime)
    return f"{result.content}\n\n{office_extras.extras(content, mime, budget)}", _about(result)


def _pdf(content: bytes, answer: Answer, budget: Budget) -> tuple[str, dict[str, Any]]:
    from redrive.flows.documents import pdf_extras  # noqa: PLC0415  (its libraries make every fork dearer, see `warm`)

    result = formats.extracted_pages(content)
    text, found = result.content, _about(result)
    pages = result.pages or [{"page_number": page + 1, "content": text} for page in range(found["pages"] or 0)]
    without = [page["page_number"] for page in pages if not page["content"].strip()]
    second = pdf_extras.second_reading(content, without) if without else {}
    if second:
        found["reader"] = SECOND
        parts = (text, *(f"Page {page}:\n\n{part}" for page, part in second.items()))
        text = "\n\n".join(parts) if text.strip() else "\n\n".join(second.values())
    if not text.strip():
        found["empty_because"] = pdf_extras.why_empty(content)
    elif scans := pdf_extras.pictures(content, [page for page in without if page not in second]):
        named = ", ".join(map(str, scans[:PAGES_NAMED])) + (" …" if len(scans) > PAGES_NAMED else "")
        budget.leave_out(f"of its {len(pages)} pages, which hold pictures and no text layer ({named})", len(scans))
    attachments = Attachments(answer, budget)
    extras = pdf_extras.extras(content, budget, attachments)
    found["attachments"] = attachments.kept
    return "\n\n".join(filter(None, (text, extras, attachments.listed))), found


def read_mail(content: bytes, answer: Answer, budget: Budget) -> tuple[str, dict[str, Any]]:
    """Text of a mail with all mails inside of it, and what is known about it."""
    message: Message = email.message_from_bytes(content, policy=POLICY)
    if not is_mail(message):
        raise Unreadable("cannot be read (it has no From, Subject or Date, so it is no mail): have it sent again")
    attachments = Attachments(answer, budget)
    text = MailReader(budget, attachments).text(message)
    note_damage(message, budget)
    text = "\n\n".join(filter(None, (text, attachments.listed)))
    sender = head(message, "From")
    return text, {
        "title": head(message, "Subject"),
        "authors": [name or address for name, address in getaddresses([sender] if sender else [])],
        "created": _mail_date(message.get("Date")),
        "attachments": attachments.kept,
    }


_READERS: dict[str, Callable[[bytes, Answer, Budget], tuple[str, dict[str, Any]]]] = {
    formats.TXT: _plain,
    formats.CSV: _plain,
    formats.HTML: _html,
    formats.EML: read_mail,
    formats.PDF: _pdf,
    formats.DOCX: lambda content, _answer, budget: _office(content, formats.DOCX, budget),
    formats.XLSX: lambda content, _answer, budget: _office(content, formats.XLSX, budget),
}


def _about(result: Any) -> dict[str, Any]:
    about: dict[str, Any] = dict(result.metadata)
    authors = about.get("authors") or about.get("author") or []
    return {
        "title": line(about.get("title")),
        "authors": [one for name in ([authors] if isinstance(authors, str) else authors) if (one := line(name))],
        "created": _moment(about.get("created_at")),
        "pages": about.get("page_count") or about.get("sheet_count"),
    }


def _mail_date(value: object) -> str | None:
    try:
        return parsedate_to_datetime(str(value)).isoformat() if value else None
    except (ValueError, OverflowError):
        return None


def _moment(value: object) -> str | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
