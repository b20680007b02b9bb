"""What a container of ours runs: `python -m redrive.infra.docker.start ROLE [ARGUMENT …]`.

Secrets come as files: `NAME_FILE=/run/secrets/x` puts the content of that file into `NAME` for the program that is started, so that neither
the image nor the container's settings show it. A database's address and password may be two files: `{password}` in the address
stands for the content of `REDRIVE_DATABASE_PASSWORD_FILE`.

Danger: the program replaces this one (exec), so that signals reach it and its exit code is the container's.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from redrive.infra.docker.roles import ROLES

#: Ends the name of a variable that says where its value lies.
FILE = "_FILE"
#: Stands for it in `REDRIVE_DATABASE_URL`.
PASSWORD = "REDRIVE_DATABASE_PASSWORD"  # noqa: S105  (the name of a variable)
#: An authority that is believed beside the public ones: what our servers' certificates are of.
AUTHORITY = "REDRIVE_CA"
#: Where Debian keeps those.
PUBLIC_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
#: Exit code for bad input, as the command line has it.
USAGE = 2

#: Prefect's own settings of that name, whose value is the file.
_FILES = (
    "PREFECT_API_SSL_CERT_FILE",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_CA_FILE",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_CERT_FILE",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_KEY_FILE",
)


class CannotStart(Exception):  # noqa: N818  (named like what happened)
    """One sentence that says what to change."""


def with_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with what its `…_FILE` names hold.

    Raises:
        CannotStart: a file that cannot be read, or a name given twice.
    """
    found = dict(environ)
    for name, path in environ.items():
        ours = name.startswith(("REDRIVE_", "PREFECT_")) and name.endswith(FILE) and name not in _FILES
        if not ours or name == FILE:
            continue
        wanted = name.removesuffix(FILE)
        if environ.get(wanted):
            raise CannotStart(f"{wanted} and {name} are both given: leave one of them out")
        del found[name]
        if not path:
            continue
        try:
            found[wanted] = Path(path).read_text().strip()
        except OSError as error:
            raise CannotStart(f"{name}={path} cannot be read: {error.strerror}; mount the secret there") from None
        if not found[wanted]:
            raise CannotStart(f"{name}={path} is empty")
    password = found.pop(PASSWORD, None)
    if password is not None:
        found["REDRIVE_DATABASE_URL"] = found.get("REDRIVE_DATABASE_URL", "").replace(
            "{password}", quote(password, safe="")
        )
    return found


def with_authority(environ: Mapping[str, str], public: Path = PUBLIC_AUTHORITIES) -> dict[str, str]:
    """The environment with `SSL_CERT_FILE`, which Python's clients read, naming a file of all that is to be believed.

    Raises:
        CannotStart: the authority cannot be read.
    """
    found = dict(environ)
    own = found.pop(AUTHORITY, None)
    if not own or found.get("SSL_CERT_FILE"):
        return found
    try:
        text = Path(own).read_text()
    except OSError as error:
        raise CannotStart(
            f"{AUTHORITY}={own} cannot be read: {error.strerror}; mount the authority's certificate there"
        ) from None
    all_of_them = Path(environ.get("TMPDIR", tempfile.gettempdir()), f"redrive-authorities-{os.getuid()}.crt")
    # Beside another one that starts: each sees a whole file.
    new = all_of_them.with_suffix(f".{os.getpid()}")
    new.write_text(text + (public.read_text() if public.exists() else ""))
    new.replace(all_of_them)
    return {**found, "SSL_CERT_FILE": str(all_of_them)}


def noted_role(environ: Mapping[str, str]) -> Path:
    """Where the first program of a container notes its role."""
    return Path(environ.get("TMPDIR", tempfile.gettempdir()), "redrive-role")


def main() -> None:
    """Become the program of a role, or the command that was given."""
    if len(sys.argv) < 2:  # noqa: PLR2004  (the program's own name)
        _refuse(f"name a role: {', '.join(ROLES)}; or a command, like `redrive check`")
    role, *arguments = sys.argv[1:]
    try:
        environment = with_authority(with_secrets(os.environ))
    except CannotStart as error:
        _refuse(str(error))
    if role in ROLES:
        argv, own = ROLES[role].program(environment)
        environment = {**ROLES[role].defaults, **environment, **own}
        # The container's first program, or the one below its init.
        if 1 in {os.getpid(), os.getppid()}:
            noted_role(environment).write_text(role)
    else:
        # Inside of a container that runs already, it is told what the role there is: `redrive check` judges the same settings.
        noted = noted_role(environment)
        if noted.exists() and (its := noted.read_text()) in ROLES:
            environment = {**ROLES[its].defaults, **environment}
        # The image's command `redrive` comes here, so that it has the secrets too.
        argv = [sys.executable, "-P", "-m", "redrive.infra.cli.main"] if role == "redrive" else [role]
    # Python ignores it, and what a job starts would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], [*argv, *arguments], environment)  # noqa: S606  (no shell is wanted)
    except OSError as error:
        _refuse(f"{argv[0]} cannot be run: {error.strerror}; roles are {', '.join(ROLES)}")


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(USAGE)


if __name__ == "__main__":
    main()
