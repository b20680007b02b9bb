"""A letter: subject, text and HTML out of a template, with headers that stay the same in every try.

Danger: subjects and addresses may come from parameters; a line break in one would let its author write headers.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import TemplateError, TemplateNotFound
from jinja2.loaders import FileSystemLoader
from jinja2.runtime import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from pydantic import AwareDatetime

from redrive.blocks.errors import PermanentError
from redrive.blocks.payloads import Payload

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "mail"

#: Bytes of all attachments; many servers refuse mails of 25 MB, and base64 adds a third.
ATTACHMENTS_LIMIT = 18 * 1024 * 1024


class Letter(Payload):
    """A mail without its attachments, which are read when it is sent."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    message_id: str
    date: AwareDatetime
    attachments: tuple[str, ...] = ()


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
) -> Letter:
    """A letter out of the templates `<template>.html.j2` and `<template>.txt.j2`.

    Args:
        template: a name of ours, or a path without its endings.
        values: what the template may use.
        subject: over the template's own, which is the first line of the text template.
        key: the job's key; together with the recipients it makes the Message-ID.

    Raises:
        PermanentError: the template, an address or the subject does not work.
    """
    to = addresses(recipients)
    given = Path(template)
    folder, name = (given.parent, given.name) if given.is_absolute() else (TEMPLATES, template)
    texts = _environment(folder, escape=False)
    pages = _environment(folder, escape=True)
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
        message_id=message_id(key, to, sender),
        date=date,
        attachments=tuple(attachments),
    )


def message_id(key: str, recipients: list[str], sender: str) -> str:
    """The same for the same job and the same set of recipients, whatever their order."""
    named = "\n".join([key, *sorted({address.lower() for _, address in getaddresses(recipients)})])
    domain = getaddresses([sender])[0][1].rpartition("@")[2]
    return f"<{hashlib.sha256(named.encode()).hexdigest()[:32]}@{domain}>"


def addresses(given: list[str]) -> list[str]:
    """Addresses as headers hold them, each once.

    Raises:
        PermanentError: none, or one that is no address.
    """
    found: dict[str, str] = {}
    for text in given:
        one_line(text, "address")
        for name, address in getaddresses([text]):
            user, at, domain = address.rpartition("@")
            try:
                shown = str(Address(display_name=name, addr_spec=address))
            except (ValueError, IndexError) as error:
                raise PermanentError(f"{text!r} is no mail address ({error}): write name@example.com") from error
            if not (user and at and domain):
                raise PermanentError(f"{text!r} is no mail address: write name@example.com")
            found.setdefault(address.lower(), shown)
    if not found:
        raise PermanentError("a mail needs a recipient: give at least one address in to")
    return list(found.values())


def one_line(text: str, what: str) -> str:
    """The text, if it cannot break out of a header.

    Raises:
        PermanentError: it holds a line break or another control character.
    """
    if any(ord(c) < ord(" ") or c in "\x7f\u2028\u2029\x85" for c in text):
        raise PermanentError(
            f"the {what} {text!r} holds a control character, which could forge mail headers: remove it"
        )
    return text


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
    mail["To"] = ", ".join(letter.recipients)
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
        mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return mail


def _environment(folder: Path, *, escape: bool) -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
