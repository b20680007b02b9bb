"""A mail as text and attachments: all of its text parts, and the mails inside of it, as deep as the budget goes.

Danger: what a mail program would not show is lost easily. Only the other versions of the same text (multipart/alternative) are left
out on purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any, Literal

from redrive.flows.document_text.budget import Budget
from redrive.flows.document_text.charset import decoded
from redrive.flows.document_text.page import page_text

HEADERS = ("Subject", "From", "To", "Cc", "Date")

Kind = Literal["body", "mail"]


@dataclass
class MailReader:
    """Reads one mail; `attachments` fills while it does."""

    folder: Path
    budget: Budget
    attachments: list[dict[str, Any]] = field(default_factory=list)

    def text(self, message: Message, depth: int = 0) -> str:
        """Its head, then its text parts and inner mails in order."""
        lines = [f"{name}: {line(message.get(name))}" for name in HEADERS if message.get(name)]
        return "\n\n".join(["\n".join(lines), *(text for _, text in self._parts(message, depth) if text.strip())])

    def _parts(self, part: Message, depth: int) -> Iterator[tuple[Kind, str]]:
        if not self.budget.takes_part():
            return
        kind = part.get_content_type()
        inner = part.get_payload()
        inside = [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else None
        if inside is None and _is_attachment(part):
            self._attach(part)
        elif inside is None:
            yield "body", _text(part)
        elif kind == "multipart/alternative":
            yield from self._alternative(inside, depth)
        elif part.get_content_maintype() != "message":
            for one in inside:
                yield from self._parts(one, depth)
        elif kind in {"message/rfc822", "message/global"}:
            for one in inside:
                yield from self._mail(one, depth + 1)
        else:
            # A report about a delivery: groups of lines like a head.
            groups = ("\n".join(f"{name}: {line(value)}" for name, value in one.items()) for one in inside)
            yield "body", "\n\n".join(groups)

    def _alternative(self, versions: list[Message], depth: int) -> Iterator[tuple[Kind, str]]:
        """One version of the text: the plain one if it has any; attachments and mails of all."""
        read = [(one, list(self._parts(one, depth))) for one in versions]
        with_text = [one for one, parts in read if any(kind == "body" and text.strip() for kind, text in parts)]
        plain = [one for one in with_text if one.get_content_type() == "text/plain"]
        chosen = next(iter([*plain, *reversed(with_text)]), None)
        for one, parts in read:
            yield from ((kind, text) for kind, text in parts if one is chosen or kind == "mail")

    def _mail(self, message: Message, depth: int) -> Iterator[tuple[Kind, str]]:
        if depth > self.budget.depth:
            self.budget.leave_out(f"mails more than {self.budget.depth} deep in others")
            return
        yield "mail", f"Mail inside:\n\n{self.text(message, depth)}"

    def _attach(self, part: Message) -> None:
        payload = part.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
        if not self.budget.takes_attachment(len(body)):
            return
        number = len(self.attachments) + 1
        (self.folder / f"attachment-{number}").write_bytes(body)
        name = line(part.get_filename()) or f"attachment-{number}"
        self.attachments.append(
            {
                "number": number,
                "name": name,
                "mime": part.get_content_type(),
                "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        )


def line(value: object) -> str | None:
    """One line of what a stranger wrote, at most 500 characters, without bytes that are no text."""
    shown = str(value).encode(errors="surrogateescape").decode(errors="backslashreplace") if value else ""
    return " ".join(shown.split())[:500] or None


def is_mail(message: Message) -> bool:
    """Whether it has what every mail has."""
    return isinstance(message, EmailMessage) and bool(
        message.get("From") or message.get("Subject") or message.get("Date")
    )


def _is_attachment(part: Message) -> bool:
    named = part.get_filename() is not None or part.get_content_disposition() == "attachment"
    return named or part.get_content_maintype() not in {"text", "multipart", "message"}


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    if part.get_content_type() == "text/html":
        return page_text(raw, part.get_content_charset())
    return decoded(raw, part.get_content_charset())
