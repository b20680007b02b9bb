"""A mail as text and attachments: all of its text parts, and the mails inside of it, as deep as the budget goes.

Danger: what a mail program would not show is lost easily. Only the other versions of the same text (multipart/alternative) are left
out on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import (
    CloseBoundaryNotFoundDefect,
    InvalidBase64CharactersDefect,
    InvalidBase64LengthDefect,
    StartBoundaryNotFoundDefect,
)
from email.message import EmailMessage, Message
from email.policy import EmailPolicy, default
from functools import cache
from typing import Any, Literal

from redrive.flows.documents.attachments import Attachments
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.charset import decoded
from redrive.flows.documents.one_line import line
from redrive.flows.documents.page import page_text

HEADERS = ("Subject", "From", "To", "Cc", "Date")

#: A version with so many times as many words and a few more is no version of the same text.
MUCH_MORE, A_FEW = 2, 10

#: What the email package finds wrong with a part, and what it means for who reads it.
_DAMAGE: dict[type, str] = {
    CloseBoundaryNotFoundDefect: "end of a mail, which breaks off (its last boundary is missing)",
    StartBoundaryNotFoundDefect: "mail in parts, none of which is found (no boundary is there)",
    InvalidBase64CharactersDefect: "part whose encoding is damaged (base64): read as far as it can be",
    InvalidBase64LengthDefect: "part whose encoding is damaged (base64): kept as it came",
}

Kind = Literal["body", "mail"]


@cache
def _parsed(name: str, value: str) -> Any:
    return default.header_fetch_parse(name, value)


class _Remembering(EmailPolicy):
    """Takes each line of a head apart once; the email package does at each look at it, some twenty times a mail."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _parsed(name, value)


#: How mails are read here, in a process that reads one and ends.
POLICY = _Remembering()


@dataclass
class MailReader:
    """Reads one mail; `attachments` fill while it does."""

    budget: Budget
    attachments: Attachments

    def text(self, message: Message, depth: int = 0) -> str:
        """Its head, then its text parts and inner mails in order."""
        lines = [f"{name}: {value}" for name in HEADERS if (value := head(message, name))]
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
        """One version of the text: the plain one if it has any; attachments and mails of all.

        Where another version says much more (`please view this as a page`), that too.
        """
        read = [(one, list(self._parts(one, depth))) for one in versions]
        with_text = [one for one, parts in read if any(kind == "body" and text.strip() for kind, text in parts)]
        plain = [one for one in with_text if one.get_content_type() == "text/plain"]
        chosen = next(iter([*plain, *reversed(with_text)]), None)
        words = {id(one): sum(len(text.split()) for kind, text in parts if kind == "body") for one, parts in read}
        enough = MUCH_MORE * words.get(id(chosen), 0) + A_FEW
        wanted = [chosen, *(one for one in reversed(with_text) if words[id(one)] > enough)][:2]
        for one, parts in read:
            yield from ((kind, text) for kind, text in parts if one in wanted or kind == "mail")

    def _mail(self, message: Message, depth: int) -> Iterator[tuple[Kind, str]]:
        if depth > self.budget.depth:
            self.budget.leave_out(f"mails more than {self.budget.depth} deep in others")
            return
        yield "mail", f"Mail inside:\n\n{self.text(message, depth)}"

    def _attach(self, part: Message) -> None:
        payload = part.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
        self.attachments.keep(part.get_filename(), part.get_content_type(), body)


def note_damage(message: Message, budget: Budget) -> None:
    """Say what a mail lacks by its own form, once all of its parts were read: one that breaks off looks whole without."""
    for part in message.walk():
        for found in dict.fromkeys(map(type, part.defects)):
            if what := _DAMAGE.get(found):
                budget.leave_out(what)


def head(message: Message, name: str) -> str | None:
    """A line of its head; what came as bytes that are neither encoded nor UTF-8 is decoded as a text would be."""
    value = str(message.get(name) or "")
    if "\ufffd" not in value:
        return line(value)
    raw = next((str(content) for key, content in message.raw_items() if key.lower() == name.lower()), "")
    return line(value if "=?" in raw else raw)


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
