"""Reading what the local mail server kept.

Danger: names of attachments come from the message: only their last part, cleaned, may name a file.
"""

from __future__ import annotations

import email.policy
import hashlib
import mailbox
import re
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime
from pathlib import Path

from pydantic import BaseModel

from redrive.blocks.core.errors import NotFound, StackError

#: Characters of a file name that survive.
_SAFE = re.compile(r"[^\w .()+-]")
_LONGEST_NAME = 120


class Attachment(BaseModel):
    """A file a message carries."""

    name: str
    type: str
    size: int


class Message(BaseModel):
    """One kept message. `sender` and `recipients` are the envelope's; `to` is what the header says."""

    id: str
    date: datetime
    sender: str
    to: str
    recipients: list[str]
    subject: str
    size: int
    attachments: list[Attachment]


def open_maildir(folder: Path) -> mailbox.Maildir:
    """The Maildir in `folder`; made if there is none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in ("tmp", "new", "cur"):  # the library makes these only together with the folder
        (folder / part).mkdir(mode=0o700, exist_ok=True)
    return mailbox.Maildir(folder)


def messages(folder: Path) -> list[Message]:
    """Every kept message, oldest first."""
    if not folder.exists():
        return []
    found = [_describe(key, read) for key, read in _each(folder)]
    return sorted(found, key=lambda message: message.date)


def content(folder: Path, wanted: str) -> EmailMessage:
    """The message whose id is, or begins with, `wanted`.

    Raises:
        NotFound: no message, or more than one.
    """
    found = [read for key, read in _each(folder) if _id(key).startswith(wanted)] if folder.exists() and wanted else []
    if len(found) != 1:
        raise NotFound(f"{len(found) or 'no'} kept messages have an id like {wanted!r}: see `redrive mail list`")
    return found[0]


def text(message: EmailMessage) -> str:
    """Its plain text; empty if it has none."""
    return _body(message, "plain")


def html(message: EmailMessage) -> str:
    """Its HTML; empty if it has none."""
    return _body(message, "html")


def save_attachments(message: EmailMessage, folder: Path) -> list[Path]:
    """Write every attachment into `folder`, under a name that is safe and new there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_save(part, folder, number) for number, part in enumerate(message.iter_attachments(), 1)]
    except OSError as error:
        raise StackError(f"cannot write attachments to {folder}: {error.strerror}") from None


def safe_name(given: str | None, number: int) -> str:
    """A file name made of an attachment's: no folder, no leading dot, no odd character."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    cleaned = _SAFE.sub("_", last).strip(" .")[-_LONGEST_NAME:].lstrip(" .")
    return cleaned or f"attachment-{number}"


def _save(part: EmailMessage, folder: Path, number: int) -> Path:
    name = safe_name(part.get_filename(), number)
    target = folder / name
    while target.exists() or target.is_symlink():
        number += 1
        target = folder / f"{number}-{name}"
    with target.open("xb") as file:
        file.write(_bytes(part))
    return target


def _each(folder: Path) -> list[tuple[str, EmailMessage]]:
    box = open_maildir(folder)
    keys = list(box.iterkeys())
    return [(key, email.message_from_bytes(box.get_bytes(key), policy=email.policy.default)) for key in keys]


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:10]


def _describe(key: str, message: EmailMessage) -> Message:
    parts = list(message.iter_attachments())
    return Message(
        id=_id(key),
        date=_date(message),
        sender=str(message["X-Envelope-From"] or message["From"] or ""),
        to=str(message["To"] or ""),
        recipients=[str(to) for to in message.get_all("X-Envelope-To", [])],
        subject=str(message["Subject"] or ""),
        size=len(message.as_bytes()),
        attachments=[_attachment(part, number) for number, part in enumerate(parts, 1)],
    )


def _attachment(part: EmailMessage, number: int) -> Attachment:
    name = safe_name(part.get_filename(), number)
    return Attachment(name=name, type=part.get_content_type(), size=len(_bytes(part)))


def _date(message: EmailMessage) -> datetime:
    try:
        date = parsedate_to_datetime(str(message["Date"]))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)  # a message without a date is still shown, first
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except LookupError:  # a character set nobody knows
        return _bytes(part).decode(errors="replace")


def _bytes(part: MIMEPart) -> bytes:
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else part.as_bytes()
