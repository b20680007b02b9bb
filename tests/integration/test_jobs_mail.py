"""Handing mails to a real SMTP server."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr, ValidationError

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.mail_server import MailServer, MailServerUnreachable
from redrive.flows.mail.delivery import DeliveryPostponed, offer, send_mail
from redrive.flows.mail.letter import Letter, message
from tests.support.mail_sink import Sink, free_port, mail_sink

LETTER = Letter(
    sender="Reports <reports@example.com>",
    recipients=("a@x.org", "b@x.org"),
    subject="Größe",
    text="Hello\n",
    html="<p>Hello</p>",
    message_id="<1@example.com>",
    date=datetime(2026, 11, 24, tzinfo=UTC),
)


def server(port: int, **options: Any) -> MailServer:
    given = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "Reports <reports@example.com>", "timeout": 10}
    return MailServer(**{**given, **options})


def sent(sink: Sink, *recipients: str) -> Any:
    return send_mail(message(LETTER, [("r.pdf", b"%PDF-1")]), recipients or LETTER.recipients, server(sink.port))


def test_mail_arrives_with_its_headers_and_attachment():
    with mail_sink() as sink:
        delivery = sent(sink)
    assert delivery.accepted == ("a@x.org", "b@x.org")
    (received,) = sink.received
    assert received.recipients == ["a@x.org", "b@x.org"]
    assert received.mail["Subject"] == "Größe"
    assert received.mail["Message-ID"] == "<1@example.com>"
    assert [part.get_filename() for part in received.mail.iter_attachments()] == ["r.pdf"]


def test_refused_recipient_does_not_keep_the_other_from_getting_it():
    with mail_sink() as sink:
        sink.refusals = {"b@x.org": ["550 no such user"]}
        delivery = sent(sink)
    assert delivery.accepted == ("a@x.org",)
    assert delivery.refused == {"b@x.org": "550 no such user"}
    assert sink.received[0].recipients == ["a@x.org"]


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        (
            ("550 no such user", "553 bad"),
            PermanentError,
            r"refuses a@x\.org \(550 no such user\); b@x\.org \(553 bad\)",
        ),
        (("450 greylisted", "550 no"), DeliveryPostponed, "asks to come back later"),
    ],
)
def test_refusal_of_all_decides_whether_another_try_can_help(
    answers: tuple[str, str], error: type[Exception], said: str
):
    with mail_sink() as sink:
        sink.refusals = {"a@x.org": [answers[0]], "b@x.org": [answers[1]]}
        with pytest.raises(error, match=said):
            sent(sink)
    assert not sink.received


@pytest.mark.parametrize(
    ("answer", "error"), [("554 looks like spam", PermanentError), ("451 try again", DeliveryPostponed)]
)
def test_refusal_of_the_content_decides_whether_another_try_can_help(answer: str, error: type[Exception]):
    with mail_sink() as sink:
        sink.mail_refusals = [answer]
        with pytest.raises(error, match=answer):
            sent(sink)


def test_utf8_address_goes_to_a_server_that_offers_smtputf8():
    letter = LETTER.model_copy(update={"recipients": ("jörg@münchen.de",)})
    with mail_sink(smtputf8=True) as sink:
        delivery = send_mail(message(letter, []), letter.recipients, server(sink.port))
    assert delivery.accepted == ("jörg@münchen.de",)
    assert sink.received[0].recipients == ["jörg@münchen.de"]


def test_utf8_address_is_refused_by_name_where_the_server_does_not_offer_smtputf8():
    with mail_sink() as sink:
        with pytest.raises(PermanentError, match=r"does not offer SMTPUTF8, which jörg@münchen\.de needs"):
            send_mail(message(LETTER, []), ("jörg@münchen.de",), server(sink.port))
        refused = offer(message(LETTER, []), "jörg@münchen.de", server(sink.port)).refused
    assert list(refused) == ["jörg@münchen.de"]


def test_mailbox_refused_after_the_content_is_that_recipients_refusal():
    with mail_sink() as sink:
        sink.mail_refusals = ["552 mailbox full"]
        assert offer(message(LETTER, []), "a@x.org", server(sink.port)).refused == {"a@x.org": "552 mailbox full"}


def test_server_that_is_unavailable_may_be_tried_again():
    with pytest.raises(MailServerUnreachable, match=r"127\.0\.0\.1:\d+ cannot be reached \(Connection refused\)"):
        send_mail(message(LETTER, []), LETTER.recipients, server(free_port()))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_session_is_encrypted_and_logged_in(tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with mail_sink(tls=tls, login=("me", "secret")) as sink:
        block = server(
            sink.port, tls="starttls", user="me", password=SecretStr("secret"), ca_file=str(tmp_path / "ca.pem")
        )
        assert block.check().endswith("answers, encrypted by STARTTLS, logged in as me")
        send_mail(message(LETTER, []), LETTER.recipients, block)
    assert len(sink.received) == 1


def test_wrong_password_is_a_permanent_error_without_the_password(
    tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path
):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with mail_sink(tls=tls, login=("me", "secret")) as sink:
        block = server(
            sink.port, tls="starttls", user="me", password=SecretStr("hidden"), ca_file=str(tmp_path / "ca.pem")
        )
        with pytest.raises(PermanentError, match="correct user and password") as refused:
            block.check()
    assert "hidden" not in str(refused.value)


def test_certificate_nobody_vouches_for_is_refused(tls: ssl.SSLContext):
    with mail_sink(tls=tls) as sink, pytest.raises(PermanentError, match=r"certificate .* is not trusted"):
        server(sink.port, tls="starttls").check()


def test_server_without_encryption_is_not_spoken_to_in_the_clear():
    with mail_sink() as sink, pytest.raises(PermanentError, match="offers no starttls"):
        server(sink.port, tls="starttls").check()


def test_password_does_not_travel_unencrypted():
    with pytest.raises(ValidationError, match="must not travel unencrypted"):
        MailServer(host="mail.example.com", tls="none", sender="a@x.org", user="a", password=SecretStr("x"))
