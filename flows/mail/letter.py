"""A letter: subject, text and HTML out of a template, with headers that stay the same in every try.

Danger: subjects may come from parameters; a line break in one would let its author write headers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Literal

import css_inline
from jinja2 import TemplateError, TemplateNotFound
from pydantic import AwareDatetime

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.payloads import Payload
from redrive.flows.mail.addresses import addresses, one_line
from redrive.flows.mail.template_files import TEMPLATES, environment

#: Bytes of all attachments; many servers refuse mails of 25 MB, and base64 adds a third.
ATTACHMENTS_LIMIT = 18 * 1024 * 1024


Send = Literal["each", "bcc", "visible"]


class Letter(Payload):
    """A mail without its attachments, which are read when it is sent; `message_id` is that of a mail to all."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    message_id: str
    date: AwareDatetime
    attachments: tuple[str, ...] = ()
    #: SHA-256 of each attachment; none in a letter of an older version.
    checksums: tuple[str, ...] = ()
    send: Send = "visible"
    cc: tuple[str, ...] = ()
    key: str = ""

    @property
    def everyone(self) -> tuple[str, ...]:
        """All who get it, each once."""
        return tuple(addresses([*self.recipients, *self.cc]))

    def addressed(self, recipient: str) -> Letter:
        """The mail that only this recipient gets, under a Message-ID of its own."""
        own = message_id(self.key, [recipient], self.sender)
        return self.model_copy(update={"recipients": (recipient,), "message_id": own})


def written(
    *,
    template: str,
    values: dict[str, Any],
    sender: str,
    recipients: list[str],
    subject: str | None,
    attachments: list[str],
    key: str,
    date: datetime,
    checksums: Sequence[str] = (),
    send: Send = "visible",
    cc: Sequence[str] = (),
) -> Letter:
    """A letter out of the templates `<template>.html.j2` and `<template>.txt.j2`.

    Args:
        template: a name of ours, or a path without its endings.
        values: what the template may use.
        subject: over the template's own, which is the first line of the text template.
        key: the job's key; together with the recipients it makes the Message-ID.
        checksums: SHA-256 of the attachments' contents.
        send: `each` recipient gets a mail of its own, all get one as `bcc`, or all are `visible` in it.
        cc: further recipients of a visible mail.

    Raises:
        PermanentError: the template, an address or the subject does not work.
    """
    to = addresses(recipients)
    if cc and send != "visible":
        raise PermanentError("cc shows its recipients to all others: set send to visible, or move them to to")
    copies = addresses(list(cc)) if cc else []
    for reference in attachments:
        attachment_name(Path(reference.rpartition(":")[2]).name)
    given = Path(template)
    folder, name = (given.parent, given.name) if len(given.parts) > 1 else (TEMPLATES, template)
    texts = environment(folder, escape=False)
    pages = environment(folder, escape=True)
    try:
        first, _, text = texts.get_template(f"{name}.txt.j2").render(values).partition("\n")
        html = pages.get_template(f"{name}.html.j2").render({**values, "subject": subject or first})
    except TemplateNotFound as error:
        raise PermanentError(
            f"there is no mail template {error.name} in {folder}: give the name of one that is there"
        ) from error
    except TemplateError as error:
        raise PermanentError(
            f"the mail template {name} cannot be filled in ({error}): give it in values or data"
        ) from error
    return Letter(
        sender=addresses([sender])[0],
        recipients=tuple(to),
        subject=one_line(subject or first.removeprefix("Subject:").strip(), "subject"),
        text=text.strip() + "\n",
        html=css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True).inline(html),
        message_id=message_id(key, [*to, *copies], sender),
        date=date,
        attachments=tuple(attachments),
        checksums=tuple(checksums),
        send=send,
        cc=tuple(copies),
        key=key,
    )


def message_id(key: str, recipients: list[str], sender: str) -> str:
    """The same for the same job and the same set of recipients, whatever their order."""
    named = "\n".join([key, *sorted({address.lower() for _, address in getaddresses(recipients)})])
    domain = getaddresses([sender])[0][1].rpartition("@")[2]
    return f"<{hashlib.sha256(named.encode()).hexdigest()[:32]}@{domain}>"


def attachment_name(name: str) -> str:
    """The name, if a mail can carry it.

    Raises:
        PermanentError: it holds a control character or is no text.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise PermanentError(f"the attachment name {name!r} is no text (UTF-8): rename the file") from error
    return one_line(name, "attachment name")


def message(letter: Letter, files: list[tuple[str, bytes]]) -> EmailMessage:
    """The mail as it is sent.

    Args:
        files: names and contents of the attachments.

    Raises:
        PermanentError: the attachments are too large together.
    """
    total = sum(len(content) for _, content in files)
    if total > ATTACHMENTS_LIMIT:
        raise PermanentError(
            f"the attachments have {total / 1024**2:.1f} MB, and mails above {ATTACHMENTS_LIMIT // 1024**2} MB are refused on their "
            "way: send a link instead"
        )
    mail = EmailMessage(policy=SMTP)
    mail["From"] = letter.sender
    # RFC 5322, A.1.3: a group without members says that there are recipients, and not who.
    mail["To"] = "undisclosed-recipients:;" if letter.send == "bcc" else ", ".join(letter.recipients)
    if letter.cc:
        mail["Cc"] = ", ".join(letter.cc)
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(letter.date)
    mail["Message-ID"] = letter.message_id
    # RFC 3834: keeps holiday notices from answering a machine.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    for name, content in files:
        kind, _ = guess_type(name)
        main, _, sub = (kind or "application/octet-stream").partition("/")
        mail.add_attachment(content, maintype=main, subtype=sub, filename=attachment_name(name))
    return mail
