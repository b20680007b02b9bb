"""The hand-over of a mail to the mail server, and what its answers mean.

Danger: a connection lost after the content was sent leaves it open whether the server took it. The mail is then sent again
under the same Message-ID, by which servers and mailboxes can tell that it is the same one.
"""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.utils import getaddresses
from typing import NamedTuple

from pydantic import Field

from redrive.blocks.core.errors import PermanentError, RedriveError
from redrive.blocks.core.payloads import Payload
from redrive.blocks.mail_server import PERMANENT_FROM, MailServer, MailServerUnreachable
from redrive.blocks.tracing import names
from redrive.blocks.tracing.spans import span

#: RFC 6531, 3.2: the address needs SMTPUTF8.
NO_SMTPUTF8 = 553


class DeliveryPostponed(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """The mail server asks to come back later."""


class Delivery(Payload):
    """What the server took, and whom it refused, with its words."""

    accepted: tuple[str, ...]
    refused: dict[str, str] = Field(default_factory=dict)


def send_mail(mail: EmailMessage, recipients: tuple[str, ...], server: MailServer) -> Delivery:
    """Send one mail to the recipients; some of them may be refused.

    Raises:
        PermanentError: the server refuses the mail or every recipient for good (5xx).
        DeliveryPostponed: it refuses for now (4xx).
        MailServerUnreachable: it is unavailable.
    """
    return _unless_all_refused(_outcome(_bare(recipients), _sent(mail, _bare(recipients), server)), server)


def offer(mail: EmailMessage, recipient: str, server: MailServer) -> Delivery:
    """Send a mail of its own to a recipient; that it is refused is an answer too, since others still wait for theirs.

    Raises:
        PermanentError, MailServerUnreachable: as `send_mail`, of the session or the sender.
    """
    return _delivery(_offered(mail, recipient, server))


def send_mails(mails: dict[str, EmailMessage], server: MailServer) -> Delivery:
    """Send every recipient the mail of its own.

    Raises:
        PermanentError, DeliveryPostponed, MailServerUnreachable: as `send_mail`; a refusal only if no recipient is taken.
    """
    together = _Outcome((), {})
    for recipient, mail in mails.items():
        one = _offered(mail, recipient, server)
        together = _Outcome((*together.accepted, *one.accepted), {**together.refused, **one.refused})
    return _unless_all_refused(together, server)


class _Outcome(NamedTuple):
    accepted: tuple[str, ...]
    refused: dict[str, tuple[int, bytes | str]]


def _offered(mail: EmailMessage, recipient: str, server: MailServer) -> _Outcome:
    (address,) = _bare((recipient,))
    try:
        return _outcome([address], _sent(mail, [address], server))
    except (PermanentError, DeliveryPostponed) as error:
        match error.__cause__:
            case smtplib.SMTPDataError() as answer:
                # Some servers look at the mailbox only after the content.
                return _Outcome((), {address: (answer.smtp_code, answer.smtp_error)})
            case smtplib.SMTPNotSupportedError():
                return _Outcome(
                    (), {address: (NO_SMTPUTF8, "the server does not offer SMTPUTF8, which this address needs")}
                )
        raise


def _bare(recipients: tuple[str, ...]) -> list[str]:
    return [address for _, address in getaddresses(list(recipients))]


def _outcome(envelope: list[str], refused: dict[str, tuple[int, bytes | str]]) -> _Outcome:
    return _Outcome(tuple(address for address in envelope if address not in refused), refused)


def _unless_all_refused(outcome: _Outcome, server: MailServer) -> Delivery:
    if not outcome.accepted:
        raise _refusal(outcome.refused, server)
    return _delivery(outcome)


def _delivery(outcome: _Outcome) -> Delivery:
    words = {address: f"{code} {_text(answer)}" for address, (code, answer) in outcome.refused.items()}
    return Delivery(accepted=outcome.accepted, refused=words)


def _sent(mail: EmailMessage, envelope: list[str], server: MailServer) -> dict[str, tuple[int, bytes | str]]:
    """Whom the server refused."""
    attributes: dict[str, str | int] = {
        names.SERVER_ADDRESS: server.host,
        names.SERVER_PORT: server.port,
        names.RECIPIENTS: len(envelope),
    }
    with span("SMTP", names.CLIENT, attributes) as sending:
        refused = _handed_over(mail, envelope, server)
        sending.set({names.REFUSED: len(refused)})
        return refused


def _handed_over(mail: EmailMessage, envelope: list[str], server: MailServer) -> dict[str, tuple[int, bytes | str]]:
    sender = getaddresses([str(mail["From"])])[0][1]
    try:
        with server.connect() as session:
            return session.send_message(mail, from_addr=sender, to_addrs=envelope)  # type: ignore[return-value]  # typeshed knows bytes only
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients  # type: ignore[return-value]  # as above
    except smtplib.SMTPResponseException as error:
        message = f"the mail server {server.place} refuses the mail ({error.smtp_code} {_text(error.smtp_error)})"
        if error.smtp_code >= PERMANENT_FROM:
            raise PermanentError(f"{message}: correct what it names") from error
        raise DeliveryPostponed(f"{message}: it asks to come back later") from error
    except smtplib.SMTPNotSupportedError as error:
        beyond = ", ".join(address for address in [*envelope, sender] if not address.isascii())
        raise PermanentError(
            f"the mail server {server.place} does not offer SMTPUTF8, which {beyond} needs: use an address in ASCII, or a"
            " server that offers it"
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise MailServerUnreachable(f"the mail server {server.place} broke off ({message}): check its log") from error


def _refusal(refused: dict[str, tuple[int, bytes | str]], server: MailServer) -> RedriveError:
    named = "; ".join(f"{address} ({code} {_text(answer)})" for address, (code, answer) in refused.items())
    message = f"the mail server {server.place} refuses {named}"
    if all(code >= PERMANENT_FROM for code, _ in refused.values()):
        return PermanentError(f"{message}: correct the address")
    return DeliveryPostponed(f"{message}: it asks to come back later")


def _text(answer: bytes | str) -> str:
    return " ".join((answer.decode(errors="replace") if isinstance(answer, bytes) else answer).split())
