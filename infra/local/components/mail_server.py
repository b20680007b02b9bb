"""A mail server that keeps what it is sent: `python -m redrive.infra.local.components.mail_server HOST PORT FOLDER`.

Source: RFC 5321 (a server that answers 250 after DATA has taken responsibility for the message), maildir(5).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from redrive.infra.local.components.maildir import open_maildir

#: Bytes a message may have: as large as common providers accept.
LARGEST = 50 * 1024 * 1024

_log = logging.getLogger(__name__)


class Keeper:
    """Stores each message durably before it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maildir = open_maildir(folder)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002  (aiosmtpd's interface)
        try:
            key = await asyncio.to_thread(self._store, envelope)
        except OSError as error:
            _log.error("message not kept: %s", error)
            return "452 4.3.1 Insufficient system storage"
        _log.info("kept %s for %d recipients", key, len(envelope.rcpt_tos))
        return f"250 2.0.0 kept as {key}"

    def _store(self, envelope: Envelope) -> str:
        body = envelope.original_content or b""
        added = [("X-Envelope-From", envelope.mail_from or ""), *(("X-Envelope-To", to) for to in envelope.rcpt_tos)]
        head = b"".join(f"{name}: {value}\n".encode() for name, value in added)
        key = self._maildir.add(head + body.replace(b"\r\n", b"\n"))
        # The library syncs the file, not the name it gets at the end.
        folder = os.open(self._folder / "new", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return key


async def serve(host: str, port: int, folder: Path) -> None:
    """Serve until told to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keeper = Keeper(folder)
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="redrive.local", data_size_limit=LARGEST, enable_SMTPUTF8=True, loop=loop),
        host,
        port,
    )
    _log.info("listening on %s:%d, keeping mail in %s", host, port, folder)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # aiosmtpd reports each command; health checks alone would fill the log.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
