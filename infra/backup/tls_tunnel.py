"""A socket on this machine behind which a PostgreSQL server is spoken to by TLS, for a pg_dump that cannot do that itself.

Packages of PostgreSQL for Python are built without OpenSSL. So Python speaks TLS, checks the certificate as libpq would, and the program
connects to a Unix socket in a folder that only its owner can enter.

Danger: what is asked of libpq (`sslmode`, `sslrootcert`) is asked of Python here; a mode that checks less than was asked for would send
passwords to whoever answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redrive.infra.backup.manifest import BackupError

#: Modes in which nothing goes over the network in the clear. In `prefer` and below libpq takes what it gets.
ASKS = ("require", "verify-ca", "verify-full")
#: PostgreSQL's request to begin TLS: length and code, as in its protocol's SSLRequest.
_REQUEST = struct.pack("!II", 8, 80877103)
#: Of its AuthenticationSASL: the code, and the way to authenticate that is bound to a channel of TLS.
_SASL, _BOUND = struct.pack("!I", 10), b"SCRAM-SHA-256-PLUS\0"
#: Bytes that are passed on at once.
_PIECE = 256 * 1024


def is_asked_for(given: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether a connection's words, or libpq's variables, want TLS."""
    return _word(given, environ, "sslmode", "PGSSLMODE") in ASKS


@contextmanager
def tunnel(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Iterator[dict[str, Any]]:
    """The connection's words as a program without TLS takes them, while the block lasts.

    Raises:
        BackupError: a certificate cannot be read.
    """
    port = int(_word(given, environ, "port", "PGPORT") or 5432)
    host = _word(given, environ, "host", "PGHOST") or "localhost"
    context = _context(given, environ)
    address = str(given.get("hostaddr") or host)
    with tempfile.TemporaryDirectory(prefix="redrive-pg-") as folder:
        passing = _Passing(address, port, host, context)
        thread = threading.Thread(
            target=asyncio.run, args=(passing.run(Path(folder, f".s.PGSQL.{port}")),), name="tls tunnel", daemon=True
        )
        thread.start()
        try:
            passing.begun.wait()
            own = {name: value for name, value in given.items() if not name.startswith("ssl") and name != "hostaddr"}
            yield {**own, "host": folder, "port": port, "sslmode": "disable"}
        finally:
            passing.end()
            thread.join()


class _Passing:
    """Passes each connection on to the server."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext) -> None:
        self._address, self._port, self._name, self._context = address, port, name, context
        self.begun = threading.Event()

    async def run(self, socket: Path) -> None:
        """Until `end` is called, from another thread; connections that there are then are cut."""
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_unix_server(self.serve, socket)
        self.begun.set()
        await self._over.wait()
        server.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._address, self._port)
            far_writer.write(_REQUEST)
            if await far_reader.readexactly(1) != b"S":
                raise ConnectionError("the server speaks no TLS")
            await far_writer.start_tls(self._context, server_hostname=self._name)
        except (OSError, asyncio.IncompleteReadError) as error:
            writer.write(_refusal(f"{self._name}:{self._port} by TLS: {error}"))
            writer.close()
            return
        await asyncio.gather(_pass(reader, far_writer), self._answer(far_reader, writer))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server's first message without what only TLS can do, then all that follows."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readexactly(5)
            body = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            # The program would refuse a server that offers channel binding on what it takes for a plain connection.
            body = body.replace(_BOUND, b"") if head[:1] == b"R" and body[:4] == _SASL else body
            writer.write(head[:1] + struct.pack("!I", 4 + len(body)) + body)
        await _pass(reader, writer)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Whichever side goes, the other one sees its connection end.
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()


def _refusal(sentence: str) -> bytes:
    """PostgreSQL's message of an error, so that the program says it."""
    fields = b"".join(f"{kind}{text}\0".encode() for kind, text in (("S", "FATAL"), ("C", "08006"), ("M", sentence)))
    return b"E" + struct.pack("!I", 4 + len(fields) + 1) + fields + b"\0"


def _context(given: Mapping[str, Any], environ: Mapping[str, str]) -> ssl.SSLContext:
    mode = _word(given, environ, "sslmode", "PGSSLMODE")
    root = _word(given, environ, "sslrootcert", "PGSSLROOTCERT") or str(Path.home() / ".postgresql" / "root.crt")
    try:
        context = ssl.create_default_context(cafile=None if root == "system" else root)
    except FileNotFoundError:
        if mode != "require":
            raise BackupError(f"sslmode={mode} needs the authority's certificate, and {root} is not there") from None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    except (OSError, ssl.SSLError) as error:
        raise BackupError(f"{root} cannot be read as a certificate: {error}") from None
    context.check_hostname = mode == "verify-full"
    certificate, key = (_word(given, environ, f"ssl{word}", f"PGSSL{word.upper()}") for word in ("cert", "key"))
    if certificate:
        try:
            context.load_cert_chain(certificate, key or None)
        except (OSError, ssl.SSLError) as error:
            raise BackupError(f"{certificate} cannot be read as a certificate: {error}") from None
    return context


def _word(given: Mapping[str, Any], environ: Mapping[str, str], name: str, variable: str) -> str:
    return str(given.get(name) or environ.get(variable) or "")
