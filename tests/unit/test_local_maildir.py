"""Reading kept mail, whatever a sender put into it."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from redrive.blocks.core.errors import NotFound
from redrive.blocks.core.settings import settings
from redrive.infra.cli.stack import mail_list, mail_show
from redrive.infra.local.components.maildir import (
    content,
    html,
    messages,
    open_maildir,
    safe_name,
    save_attachments,
    text,
)
from tests.support.hostile import HOSTILE, steers


def kept(folder: Path, **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "a@example.org", "To": "b@example.org", "Subject": "Hello", **headers}.items():
        message[name] = value
    message.set_content("plain words")
    message.add_alternative("<p>rich words</p>", subtype="html")
    return message


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe"),
        ("/abs/olute", "olute"),
        (".bashrc", "bashrc"),
        ("..", "attachment-3"),
        ("", "attachment-3"),
        (None, "attachment-3"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("Größe 2.xlsx", "Größe 2.xlsx"),
        ("x" * 500 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_attachment_name_is_safe(given: str | None, safe: str):
    assert safe_name(given, 3) == safe


def test_list_shows_envelope_and_attachments(tmp_path: Path):
    message = kept(tmp_path, Date="Tue, 03 Mar 2026 10:00:00 +0100")
    message.add_attachment(b"12345", maintype="application", subtype="pdf", filename="r.pdf")
    open_maildir(tmp_path).add(
        b"X-Envelope-From: bounce@example.org\nX-Envelope-To: hidden@example.org\n" + message.as_bytes()
    )

    (found,) = messages(tmp_path)

    assert (found.sender, found.recipients, found.to) == ("bounce@example.org", ["hidden@example.org"], "b@example.org")
    assert [(one.name, one.type, one.size) for one in found.attachments] == [("r.pdf", "application/pdf", 5)]


def test_messages_without_a_usable_date_come_first(tmp_path: Path):
    box = open_maildir(tmp_path)
    box.add(kept(tmp_path, Subject="dated", Date="Tue, 03 Mar 2026 10:00:00 -0000"))
    box.add(kept(tmp_path, Subject="broken", Date="yesterday"))

    assert [one.subject for one in messages(tmp_path)] == ["broken", "dated"]


def test_no_folder_is_no_mail(tmp_path: Path):
    assert messages(tmp_path / "none") == []
    with pytest.raises(NotFound, match="redrive mail list"):
        content(tmp_path / "none", "abc")


def test_message_is_found_by_the_start_of_its_id(tmp_path: Path):
    open_maildir(tmp_path).add(kept(tmp_path))
    (one,) = messages(tmp_path)

    found = content(tmp_path, one.id[:4])

    assert text(found).strip() == "plain words"
    assert html(found).strip() == "<p>rich words</p>"


def test_saving_overwrites_nothing_and_stays_in_the_folder(tmp_path: Path):
    message = kept(tmp_path)
    for _ in range(2):
        message.add_attachment(b"x", maintype="text", subtype="csv", filename="../same.csv")
    target = tmp_path / "out"
    target.mkdir()
    (target / "same.csv").write_text("mine")

    saved = save_attachments(message, target)

    assert (target / "same.csv").read_text() == "mine"
    assert len({*saved}) == 2
    assert {file.parent for file in saved} == {target}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("REDRIVE_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_message_is_shown_with_its_spaces_and_without_what_steers_the_terminal(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "a@example.org", "b@example.org"
    message["Subject"] = "Pay\x1b[2J now\u202e"
    message.set_content("10\u00a0000\u202f€\n" + "\n".join(HOSTILE).encode("utf-8", "replace").decode())
    open_maildir(home / "mail").add(message)
    mail_list()
    mail_list(json=True)
    mail_show(messages(home / "mail")[0].id)

    printed = capsys.readouterr().out
    assert "10\u00a0000\u202f€" in printed
    assert "�[2J" in printed
    assert steers(printed) == []
