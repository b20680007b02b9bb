"""The local mail server for development: delivers nothing, keeps everything in a Maildir (`redrive mail` reads it)."""

from __future__ import annotations

import smtplib
import sys

from redrive.infra.local.component import Component, Program

#: Seconds a health check waits.
_PATIENCE = 2


class Mail(Component):
    name = "mail"
    replaced_by = "REDRIVE_SMTP_URL"
    port_setting = "smtp_port"

    @property
    def is_external(self) -> bool:
        return self.settings.smtp_url is not None

    def program(self) -> Program:
        return Program((
            sys.executable, "-P", "-m", "redrive.infra.local.components.mail_server",
            self.settings.host, str(self.settings.smtp_port), str(self.settings.home / "mail"),
        ))  # fmt: skip

    def healthy(self) -> bool:
        scheme, _, rest = self.settings.mail_url().partition("://")
        host, _, port = rest.rpartition("@")[2].partition("/")[0].rpartition(":")
        kind = smtplib.SMTP_SSL if scheme == "smtps" else smtplib.SMTP
        try:
            with kind(host.strip("[]"), int(port), timeout=_PATIENCE) as server:
                return server.noop()[0] == 250  # noqa: PLR2004  (RFC 5321: done)
        except (OSError, smtplib.SMTPException):
            return False
