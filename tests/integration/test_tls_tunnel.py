"""Backups of a server that takes TLS only, by a pg_dump that was built without: the tunnel checks what libpq would check."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from redrive.infra.backup.manifest import BackupError
from redrive.infra.backup.postgres_tools import libpq, run
from redrive.infra.docker.certificates import make
from tests.support.postgres import PostgresServer

ROWS = "SELECT count(*), sum(number) FROM numbers"


class Terminator:
    """In front of a PostgreSQL without TLS: takes PostgreSQL's request for TLS, and nothing else."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self._socket = folder / ".s.PGSQL.5432"
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
        self.port = 0
        self.taken = 0
        self._begun = threading.Event()

    @contextmanager
    def running(self) -> Iterator[int]:
        thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        thread.start()
        self._begun.wait()
        try:
            yield self.port
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._begun.set()
        await self._over.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(8) != b"\x00\x00\x00\x08\x04\xd2\x16\x2f":
            writer.close()
            return
        writer.write(b"S")
        try:
            await writer.start_tls(self._context)
        except OSError:
            return
        self.taken += 1
        inside = await asyncio.open_unix_connection(self._socket)
        await asyncio.gather(_pass(reader, inside[1]), _pass(inside[0], writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `postgres` and `localhost`."""
    folder = tmp_path_factory.mktemp("tls")
    make(folder)
    return folder


@pytest.fixture
def terminator(postgres_server: PostgresServer, certificates: Path) -> Iterator[Terminator]:
    made = Terminator(postgres_server.folder, certificates / "postgres")
    with made.running():
        yield made


def by_tls(
    url: str, terminator: Terminator, authority: Path, mode: str = "verify-full", host: str = "localhost"
) -> str:
    """How the same database is reached by TLS."""
    name = libpq(url).partition("@/")[2].partition("?")[0]
    words = f"sslmode={mode}&sslrootcert={authority}&hostaddr=127.0.0.1"
    return f"postgresql://postgres@{host}:{terminator.port}/{name}?{words}"


def test_database_behind_tls_is_dumped_and_restored(
    postgres_server: PostgresServer, terminator: Terminator, certificates: Path, tmp_path: Path
) -> None:
    source, target = postgres_server.database(), postgres_server.database()
    authority = certificates / "ca.crt"
    with psycopg.connect(libpq(source)) as connection:
        connection.execute(
            "CREATE TABLE numbers AS SELECT n AS number, repeat('x', 500) FROM generate_series(1, 20000) n"
        )
    dump = tmp_path / "numbers.dump"

    run("pg_dump", by_tls(source, terminator, authority), "--format", "custom", "--file", str(dump))
    assert terminator.taken > 0
    restored = by_tls(target, terminator, authority).replace("?", "?gssencmode=disable&")
    run("pg_restore", restored, "--no-owner", "--jobs", "2", "--exit-on-error", str(dump))

    with psycopg.connect(libpq(source)) as one, psycopg.connect(libpq(target)) as other:
        assert one.execute(ROWS).fetchone() == other.execute(ROWS).fetchone() == (20_000, 200_010_000)


@pytest.mark.parametrize(
    ("mode", "host", "is_believed"),
    [("verify-full", "elsewhere", False), ("verify-ca", "elsewhere", True), ("verify-full", "postgres", True)],
)
def test_name_is_checked_when_that_is_asked_for(
    mode: str, host: str, *, is_believed: bool, postgres_server: PostgresServer, terminator: Terminator,
    certificates: Path, tmp_path: Path,
) -> None:  # fmt: skip
    url = by_tls(postgres_server.database(), terminator, certificates / "ca.crt", mode, host)

    if is_believed:
        run("pg_dump", url, "--file", str(tmp_path / "dump"))
    else:
        with pytest.raises(BackupError, match=r"elsewhere.* by TLS: .*certificate is not valid for 'elsewhere'"):
            run("pg_dump", url, "--file", str(tmp_path / "dump"))


def test_server_of_another_authority_is_not_believed(
    postgres_server: PostgresServer, terminator: Terminator, tmp_path: Path
) -> None:
    make(tmp_path / "other")
    url = by_tls(postgres_server.database(), terminator, tmp_path / "other" / "ca.crt")

    with pytest.raises(BackupError, match=r"by TLS: .*certificate verify failed"):
        run("pg_dump", url, "--file", str(tmp_path / "dump"))


def test_authority_that_is_not_there_is_named(postgres_server: PostgresServer, terminator: Terminator) -> None:
    url = by_tls(postgres_server.database(), terminator, Path("/not/there.crt"))

    with pytest.raises(BackupError, match=r"needs the authority's certificate, and /not/there\.crt is not there"):
        run("pg_dump", url, "--file", "/dev/null")
