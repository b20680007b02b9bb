"""A real SMTP server that takes mails, or refuses whom it is told to."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass
class Received:
    """One mail as the server got it."""

    recipients: list[str]
    mail: EmailMessage


@dataclass
class Sink:
    """What the server received, and how it answers; `refusals` by address, used up one by one."""

    refusals: dict[str, list[str]] = field(default_factory=dict)
    mail_refusals: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802  (the name and arguments aiosmtpd looks for)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if self.refusals.get(address):
            return self.refusals[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  (as above)
        if self.mail_refusals:
            return self.mail_refusals.pop(0)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.received.append(Received(recipients=list(envelope.rcpt_tos), mail=mail))
        return "250 OK"


@contextmanager
def mail_sink(
    *, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None, smtputf8: bool = False
) -> Iterator[Sink]:
    """A server on a free port; with `tls` it wants STARTTLS first, with `login` a user and password."""
    sink = Sink(port=free_port())

    def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=login == (data.login.decode(), data.password.decode()), handled=False)

    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=sink.port,
        tls_context=tls,
        require_starttls=tls is not None,
        authenticator=known if login else None,
        auth_required=login is not None,
        auth_require_tls=tls is not None,
        enable_SMTPUTF8=smtputf8,
    )
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
