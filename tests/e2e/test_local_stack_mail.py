"""The local mail server: what is sent is kept, and can be read."""

from __future__ import annotations

import json
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.stack import LocalStack

pytestmark = pytest.mark.stack


def send(stack: LocalStack, subject: str, *, to: str = "board@example.org") -> None:
    message = EmailMessage()
    message["From"] = "Redrive <redrive@example.org>"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = "Tue, 03 Mar 2026 10:00:00 +0000"
    message.set_content("Größe in words\n.a line with a leading dot\n")
    message.add_alternative("<h1>Rich</h1>", subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="../report.pdf")
    with smtplib.SMTP("127.0.0.1", stack.settings.smtp_port, timeout=10) as server:
        server.send_message(message, from_addr="bounce@example.org", to_addrs=[to, "hidden@example.org"])


def test_sent_mail_is_listed_and_shown(stack: LocalStack, tmp_path: Path):
    send(stack, "Quarterly report")

    listed = json.loads(stack.command("mail", "list", "--json").stdout)
    (one,) = (one for one in listed if one["subject"] == "Quarterly report")
    shown = stack.command(
        "mail", "show", one["id"], "--html", str(tmp_path / "m.html"), "--save", str(tmp_path / "out")
    )

    assert one["sender"] == "bounce@example.org"
    assert one["recipients"] == ["board@example.org", "hidden@example.org"]
    assert one["attachments"] == [{"name": "report.pdf", "type": "application/pdf", "size": 8}]
    assert "Größe in words\n.a line with a leading dot" in shown.stdout
    assert "<h1>Rich</h1>" in (tmp_path / "m.html").read_text()
    assert (tmp_path / "out" / "report.pdf").read_bytes() == b"%PDF-1.7"
    assert "Quarterly report" in stack.command("mail", "list").stdout


def test_unknown_message_is_one_clear_sentence(stack: LocalStack):
    failed = stack.command("mail", "show", "zzz", check=False)

    assert failed.returncode == 4
    assert "redrive mail list" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_kept_mail_is_closed_to_other_users(stack: LocalStack):
    assert (stack.home / "mail").stat().st_mode & 0o077 == 0
