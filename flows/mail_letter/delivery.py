"""The hand-over of a mail to the mail server, and what its answers mean.

Danger: a connection lost after the content was sent leaves it open whether the server took it. The mail is then sent again
under the same Message-ID, by which servers and mailboxes can tell that it is the same one.
"""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.utils import getaddresses

from pydantic import Field

from redrive.blocks.errors import PermanentError, RedriveError
from redrive.blocks.mail_server import PERMANENT_FROM, MailServer, MailServerUnreachable
from redrive.blocks.payloads import Payload


class DeliveryPostponed(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/errors.py)
    """The mail server asks to come back later."""


class Delivery(Payload):
    """What the server took, and whom it refused, with its words."""

    accepted: tuple[str, ...]
    refused: dict[str, str] = Field(default_factory=dict)


def hand_over(mail: EmailMessage, recipients: tuple[str, ...], server: MailServer) -> Delivery:
    """Send the mail to the recipients; some of them may be refused.

    Raises:
        PermanentError: the server refuses the mail or every recipient for good (5xx).
        DeliveryPostponed: it refuses for now (4xx). MailServerUnreachable: it is away.
    """
    envelope = [address for _, address in getaddresses(list(recipients))]
    sender = getaddresses([str(mail["From"])])[0][1]
    try:
        with server.connect() as session:
            refused = session.send_message(mail, from_addr=sender, to_addrs=envelope)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(error.recipients, server) from error
    except smtplib.SMTPResponseException as error:
        said = f"the mail server {server.place} refuses the mail ({error.smtp_code} {_text(error.smtp_error)})"
        if error.smtp_code >= PERMANENT_FROM:
            raise PermanentError(f"{said}: correct what it names") from error
        raise DeliveryPostponed(f"{said}: it asks to come back later") from error
    except smtplib.SMTPNotSupportedError as error:
        raise PermanentError(
            f"the mail server {server.place} cannot take these addresses ({error}): write them in ASCII"
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise MailServerUnreachable(f"the mail server {server.place} broke off ({said}): check its log") from error
    return Delivery(
        accepted=tuple(address for address in envelope if address not in refused),
        refused={address: f"{code} {_text(answer)}" for address, (code, answer) in refused.items()},
    )


def _refusal(refused: dict[str, tuple[int, bytes]], server: MailServer) -> RedriveError:
    named = "; ".join(f"{address} ({code} {_text(answer)})" for address, (code, answer) in refused.items())
    said = f"the mail server {server.place} refuses {named}"
    if all(code >= PERMANENT_FROM for code, _ in refused.values()):
        return PermanentError(f"{said}: correct the address")
    return DeliveryPostponed(f"{said}: it asks to come back later")


def _text(answer: bytes | str) -> str:
    return " ".join((answer.decode(errors="replace") if isinstance(answer, bytes) else answer).split())
