"""Letters out of templates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from redrive.blocks.core.errors import PermanentError
from redrive.flows.mail.addresses import addresses
from redrive.flows.mail.letter import Letter, message, message_id, written

REPORT = {
    "title": "Umsätze",
    "subtitle": "im März",
    "figures": [{"label": "Summe", "value": "5", "unit": "€", "note": ""}],
    "source": "us",
}


def letter(**options: Any) -> Letter:
    given: dict[str, Any] = {
        "template": "report",
        "values": REPORT,
        "sender": "Reports <reports@example.com>",
        "recipients": ["Board <board@example.com>"],
        "subject": None,
        "attachments": [],
        "key": "job-1",
        "date": datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
    }
    return written(**{**given, **options})


def test_same_job_and_recipients_make_the_same_message_id():
    first = message_id("job-1", ["a@x.org", "B <b@x.org>"], "me@x.org")
    assert first == message_id("job-1", ["b@X.org", "A <a@x.org>"], "me@x.org")
    assert first != message_id("job-2", ["a@x.org", "b@x.org"], "me@x.org")
    assert first != message_id("job-1", ["a@x.org"], "me@x.org")
    # Written down, because an order that only this process keeps would pass everything above.
    assert first == "<18a76580c528e340b645745576510895@x.org>"


def test_letter_has_text_and_html_with_inline_styles():
    mail = message(letter(), [("report.pdf", b"%PDF-")])
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Summe: 5 €" in text.get_content()
    assert 'style="' in html.get_content().split("<body")[1].split(">")[0]
    assert [(part.get_filename(), part.get_content_type()) for part in mail.iter_attachments()] == [
        ("report.pdf", "application/pdf")
    ]
    assert mail["Subject"] == "Umsätze"
    assert mail["Date"] == "Tue, 24 Nov 2026 12:00:00 +0000"


def test_values_are_escaped_in_html_and_not_in_text():
    made = letter(values={**REPORT, "title": "A & <b>"})
    assert "A &amp; &lt;b&gt;" in made.html.split("<body")[1]
    assert "<b>" not in made.html
    assert made.text.startswith("A & <b>")
    assert made.subject == "A & <b>"


@pytest.mark.parametrize("subject", ["Hello\nBcc: all@example.com", "Hello\r\n\r\nbody", "a\x00b"])
def test_subject_that_would_forge_headers_is_refused(subject: str):
    with pytest.raises(PermanentError, match="could forge mail headers"):
        letter(subject=subject)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a@x.org\nBcc: b@x.org"], "could forge mail headers"),
        (["nobody"], "'nobody' is no mail address"),
        (["a@"], "is no mail address"),
        ([], "a mail needs a recipient"),
        (["a b@x.org"], "is no mail address"),
        (["a@-x-.\u2603\u0338.org"], "is no mail address"),
        (["Ada <a@x..org>"], "is no mail address"),
    ],
)
def test_address_that_is_none_is_refused(given: list[str], said: str):
    with pytest.raises(PermanentError, match=said):
        addresses(given)


def test_address_given_twice_is_written_once():
    assert addresses(["A <a@x.org>", "a@X.org, b@x.org"]) == ["A <a@x.org>", "b@x.org"]


def test_template_that_is_not_there_is_named():
    with pytest.raises(PermanentError, match=r"no mail template nothing\.txt\.j2"):
        letter(template="nothing")


def test_value_the_template_misses_is_named():
    with pytest.raises(PermanentError, match="'source' is undefined"):
        letter(values={key: value for key, value in REPORT.items() if key != "source"})


def test_template_of_ones_own_works_and_is_kept_in_the_sandbox(tmp_path: Path):
    (tmp_path / "hello.txt.j2").write_text("Subject: Hello {{ name }}\nDear {{ name }}")
    (tmp_path / "hello.html.j2").write_text("<p>{{ ''.__class__.__mro__ }}</p>")
    with pytest.raises(PermanentError, match="unsafe"):
        letter(template=str(tmp_path / "hello"), values={"name": "Ada"})
    (tmp_path / "hello.html.j2").write_text("<p>Dear {{ name }}</p>")
    assert letter(template=str(tmp_path / "hello"), values={"name": "Ada"}).subject == "Hello Ada"


def test_attachments_that_are_too_large_are_refused():
    with pytest.raises(PermanentError, match="send a link instead"):
        message(letter(), [("big.bin", bytes(19 * 1024 * 1024))])


@pytest.mark.parametrize(
    ("given", "written_out"),
    [
        ("Jörg <post@münchen.de>", "Jörg <post@xn--mnchen-3ya.de>"),
        ("post@MÜNCHEN.de", "post@xn--mnchen-3ya.de"),
        ("jörg@münchen.de", "jörg@münchen.de"),
        ("用户@例え.jp", "用户@例え.jp"),
    ],
)
def test_domains_are_written_in_ascii_where_the_address_allows_it(given: str, written_out: str):
    assert addresses([given]) == [written_out]


def test_one_recipient_of_a_domain_in_two_forms_is_one():
    assert addresses(["a@münchen.de", "a@xn--mnchen-3ya.de"]) == ["a@xn--mnchen-3ya.de"]


def test_each_recipients_mail_has_a_message_id_of_its_own_that_stays():
    made = letter(recipients=["a@x.org", "b@x.org"], send="each")
    ids = [made.addressed(recipient).message_id for recipient in made.everyone]
    assert len({*ids, made.message_id}) == 3
    again = letter(recipients=["b@x.org", "a@x.org"], send="each")
    assert sorted(again.addressed(recipient).message_id for recipient in again.everyone) == sorted(ids)


def test_copies_are_for_visible_mails_only():
    with pytest.raises(PermanentError, match="set send to visible"):
        letter(cc=["c@x.org"], send="each")


@pytest.mark.parametrize("name", ["a\nb.pdf", "a\udcffb.pdf"])
def test_attachment_name_that_no_mail_can_carry_is_a_permanent_error(name: str):
    with pytest.raises(PermanentError, match="attachment name"):
        letter(attachments=[f"reports:x/{name}"])
    with pytest.raises(PermanentError, match="attachment name"):
        message(letter(), [(name, b"")])


def test_template_outside_of_the_allowed_folders_is_not_read():
    with pytest.raises(PermanentError, match="outside of the folders jobs may read"):
        letter(template="/etc/motd")
