"""Mail: a template becomes a mail with attachments, handed to the mail server.

Danger: a step that completed is not run again. Recipients that were taken are therefore done, and only those refused are
asked for again, in a step of their own.
"""

import hashlib
import json
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.payloads import MailResult
from redrive.blocks.core.settings import settings
from redrive.blocks.mail_server import MailServer
from redrive.blocks.saved import saved
from redrive.deployments.catalog import job_type
from redrive.flows.engine.job import current_job, job, step
from redrive.flows.mail.delivery import Delivery, offer, send_mail, send_mails
from redrive.flows.mail.letter import Letter, Send, message, written
from redrive.flows.stores import content_of

MAIL = job_type("mail")


@job(MAIL)
def mail(
    to: list[str] = ["Board <board@example.com>"],  # noqa: B006  (Prefect shows it in the form, and nothing here changes it)
    template: str = "report",
    subject: str | None = None,
    data: str | None = "reports:seattle-weather/latest/seattle-weather.json",
    values: dict[str, Any] = {},  # noqa: B006  (as above)
    attachments: list[str] = ["reports:seattle-weather/latest/seattle-weather.pdf"],  # noqa: B006  (as above)
    server: str = "default",
    send: Send = "each",
    cc: list[str] = [],  # noqa: B006  (as above)
) -> MailResult:
    """Send a mail made from a template.

    Every try of the job sends the same mail: same Message-ID, same date, same words. If the server takes some recipients and
    refuses others, the mail goes to those it takes, and the job goes on with the others.

    Args:
        to: Recipients, `name@example.com` or `Name <name@example.com>`.
        template: Template's name, or the path of one of your own without .html.j2 and .txt.j2; a relative path with a folder
            counts from REDRIVE_HOME.
        subject: Subject, if not the template's own.
        data: JSON file with values for the template: a path, or `store:path` in a storage block.
        values: More values for the template; they win over data.
        attachments: Files to attach, each a path or `store:path` in a storage block.
        server: Name of the Mail Server block.
        send: each: a mail of its own for every recipient; bcc: one mail that names none; visible: one mail that names all.
        cc: Further recipients of a visible mail.
    """
    letter = write(to, template, subject, data, values, attachments, server, current_job().key, send, cc)
    waiting = letter.everyone
    if send == "each":
        # A recipient that is refused keeps no other from getting the mail; it is asked for again below.
        waiting = tuple(recipient for recipient in waiting if first(letter, recipient, server).refused)
    while waiting:
        delivery = deliver(letter, waiting, server)
        waiting = tuple(recipient for recipient in waiting if parseaddr(recipient)[1] in delivery.refused)
    sent = [letter.addressed(recipient) for recipient in letter.everyone] if send == "each" else [letter]
    return MailResult(
        message_id=sent[0].message_id,
        message_ids=tuple(one.message_id for one in sent),
        subject=letter.subject,
        recipients=letter.everyone,
        attachments=tuple(Path(reference.rpartition(":")[2]).name for reference in letter.attachments),
        server=saved(MailServer, server).place,
    )


@step(MAIL.policy)
def write(
    to: list[str],
    template: str,
    subject: str | None,
    data: str | None,
    values: dict[str, Any],
    attachments: list[str],
    server: str,
    key: str,
    send: Send,
    cc: list[str],
) -> Letter:
    """Fill in the template, once for all tries."""
    return written(
        template=str(settings().place(template)) if "/" in template else template,
        values={**read_values(data), **values},
        sender=saved(MailServer, server).sender,
        recipients=to,
        subject=subject,
        attachments=attachments,
        key=key,
        date=datetime.now(UTC),
        send=send,
        cc=cc,
        checksums=[hashlib.sha256(content_of(reference)[1]).hexdigest() for reference in attachments],
    )


@step(MAIL.policy)
def first(letter: Letter, recipient: str, server: str) -> Delivery:
    """Hand one recipient its mail, or note that it is refused."""
    return offer(message(letter.addressed(recipient), files_of(letter)), recipient, saved(MailServer, server))


@step(MAIL.policy)
def deliver(letter: Letter, recipients: tuple[str, ...], server: str) -> Delivery:
    """Hand the mail over for these recipients; fails if none of them is taken."""
    files, block = files_of(letter), saved(MailServer, server)
    if letter.send == "each":
        return send_mails({one: message(letter.addressed(one), files) for one in recipients}, block)
    return send_mail(message(letter, files), recipients, block)


def files_of(letter: Letter) -> list[tuple[str, bytes]]:
    """Names and contents of the attachments.

    Raises:
        PermanentError: one is not there any more, or another one than when the mail was written: its words may be about the first.
    """
    files = [content_of(reference) for reference in letter.attachments]
    for (name, content), checksum in zip(files, letter.checksums, strict=False):
        if hashlib.sha256(content).hexdigest() != checksum:
            raise PermanentError(
                f"the attachment {name} was replaced after this mail was written, and who got it already has the other one: "
                "ask for a new mail, or name a file that stays, like a report's under its day"
            )
    return files


def read_values(data: str | None) -> dict[str, Any]:
    """Values from a JSON file.

    Raises:
        PermanentError: not there, or no JSON object.
    """
    if data is None:
        return {}
    name, content = content_of(data)
    try:
        values = json.loads(content)
    except ValueError as error:
        raise PermanentError(f"{name} is no proper JSON ({error}): correct it, or leave out data") from error
    if not isinstance(values, dict):
        raise PermanentError(f"{name} is no JSON object: a template needs names for its values")
    return values
