"""The mail server that mail jobs hand their mails to, as a Prefect block.

Danger: without encryption a password is readable on the way, so `tls = none` with a password is refused except on this machine.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, Literal, Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator

from redrive.blocks.core.errors import PermanentError, RedriveError
from redrive.blocks.core.patience import left_for

#: SMTP replies from here on are final (RFC 5321, 4.2.1); 4xx asks to come back later.
PERMANENT_FROM = 500
LATER_FROM = 400

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class MailServerUnreachable(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """The mail server cannot be reached."""


class MailServer(Block):
    """A mail server (SMTP) that mail jobs hand their mails to.

    Example:
        ```python
        from redrive.blocks.mail_server import MailServer

        print(MailServer.load("default").check())
        ```
    """

    _block_type_name: ClassVar[str | None] = "Mail Server"
    _block_type_slug: ClassVar[str | None] = "mail-server"
    _description: ClassVar[str | None] = "A mail server (SMTP) that mail jobs hand their mails to."
    _logo_url: ClassVar[Any] = (
        "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/email.png"
    )
    _documentation_url: ClassVar[Any] = "https://www.rfc-editor.org/rfc/rfc5321"

    host: str = Field(description="Name or address of the server.")
    port: int = Field(587, ge=1, le=65535, description="587 with starttls, 465 with tls, 25 between servers.")
    tls: Literal["none", "starttls", "tls"] = Field(
        "starttls", title="Encryption", description="starttls: encrypted after the greeting; tls: from the start; none."
    )
    user: str | None = Field(None, description="Who logs in; nobody if empty.")
    password: SecretStr | None = Field(None, description="Password of the user.")
    sender: str = Field(description="Who mails come from: `Reports <reports@example.com>`.")
    timeout: float = Field(30, gt=0, description="Seconds to wait for an answer of the server.")
    ca_file: str | None = Field(
        None, title="CA file", description="Certificates to trust besides the system's, for a server of your own."
    )

    @model_validator(mode="after")
    def _no_open_password(self) -> Self:
        if self.password and self.tls == "none" and self.host not in _THIS_MACHINE:
            raise ValueError(
                "a password must not travel unencrypted: set tls to starttls or tls, or remove the password"
            )
        return self

    @property
    def place(self) -> str:
        """Host and port, for a person."""
        return f"{self.host}:{self.port}"

    @contextmanager
    def connect(self) -> Iterator[smtplib.SMTP]:
        """A session, encrypted and logged in; use it for many mails.

        Raises:
            MailServerUnreachable: no session; another try may work.
            PermanentError: the server refuses the login or does not speak what the block says.
        """
        session = self._opened()
        try:
            yield session
        finally:
            try:
                session.quit()
            except (smtplib.SMTPException, OSError):
                # What counted was answered before; a server that is gone now changes nothing.
                session.close()

    def check(self) -> str:
        """Open a session and say in a sentence what answered; raises as `connect` does."""
        with self.connect() as session:
            code, answer = session.noop()
        if code >= LATER_FROM:
            raise MailServerUnreachable(f"the mail server {self.place} answers {code} {_text(answer)}")
        secured = {"none": "unencrypted", "starttls": "encrypted by STARTTLS", "tls": "encrypted by TLS"}[self.tls]
        return f"the mail server {self.place} answers, {secured}{f', logged in as {self.user}' if self.user else ''}"

    def _opened(self) -> smtplib.SMTP:
        try:
            context = ssl.create_default_context()
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
            # A person who asks how the server is waits for less than a job may.
            timeout = min(self.timeout, left_for(self.place))
            with ExitStack() as half_open:
                session = (
                    smtplib.SMTP_SSL(self.host, self.port, timeout=timeout, context=context)
                    if self.tls == "tls"
                    else smtplib.SMTP(self.host, self.port, timeout=timeout)
                )
                half_open.callback(session.close)
                if self.tls == "starttls":
                    session.starttls(context=context)
                if self.user:
                    session.login(self.user, self.password.get_secret_value() if self.password else "")
                half_open.pop_all()
        except smtplib.SMTPResponseException as error:
            detail = f"the mail server {self.place} refuses the session ({error.smtp_code} {_text(error.smtp_error)})"
            if error.smtp_code >= PERMANENT_FROM:
                raise PermanentError(f"{detail}: correct user and password of the Mail Server block") from error
            raise MailServerUnreachable(f"{detail}: it asks to come back later") from error
        except smtplib.SMTPNotSupportedError as error:
            raise PermanentError(
                f"the mail server {self.place} offers no {self.tls} or login ({error}): correct the Mail Server block"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise PermanentError(
                f"the certificate of the mail server {self.place} is not trusted ({error.verify_message}): correct the"
                " host's name or give ca_file"
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise MailServerUnreachable(
                f"the mail server {self.place} cannot be reached ({detail}): check that it runs"
            ) from error
        return session


def _text(answer: bytes | str) -> str:
    return " ".join((answer.decode(errors="replace") if isinstance(answer, bytes) else answer).split())
