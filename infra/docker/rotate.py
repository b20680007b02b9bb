"""A new password for a running infra/compose: `python infra/docker/rotate.py FOLDER database|redis|prefect COMPOSE …`.

COMPOSE … is the command that the installation was started with, such as `docker compose -p redrive -f infra/compose/compose.yaml`;
`make compose-rotate SECRET=redis` knows it. PostgreSQL and Redis take old and new meanwhile, so nothing stops; Prefect's API has one
password, so workers drain first, and whoever enqueues from outside needs the new one from then on.

Danger: passwords go to the databases' containers by standard input, never as arguments, which lists of processes show.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from redrive.infra.docker import secrets_folder
    from redrive.infra.docker.roll import NotHealthy, roll, run, there
else:
    # As a script, on a host that has Redrive as images only.
    import secrets_folder
    from roll import NotHealthy, roll, run, there

#: Who has the secret, in the order in which they are started anew. The database keeps sessions that there are.
USERS = {
    "database": ("prefect-1", "prefect-2", "services", "keeper-1", "keeper-2", "exporter", "console", "ops-worker"),
    "redis": ("prefect-1", "prefect-2", "services", "worker-1", "worker-2", "ops-worker", "redis"),
    "prefect": (
        "prefect-1", "prefect-2", "services", "keeper-1", "keeper-2", "exporter", "console", "prometheus",
        "worker-1", "worker-2", "ops-worker",
    ),
}  # fmt: skip
#: They are stopped before the API has another password, so that no job is cut off from it.
DRAINED_FIRST = ("worker-1", "worker-2", "ops-worker")
#: What changes the password of each database: the passwords come in two lines, the old one first.
_CHANGES = {
    "database": (
        "postgres",
        """read -r old; read -r new
        printf "ALTER USER redrive PASSWORD '%s'" "$new" |
        PGPASSWORD=$old psql -q -h 127.0.0.1 -U redrive -d redrive -v ON_ERROR_STOP=1""",
    ),
    "redis": (
        "redis",
        """read -r old; read -r new; test -e /run/tls/ca.crt && tls="--tls --cacert /run/tls/ca.crt"
        printf 'ACL SETUSER default >%s\\n' "$new" | REDISCLI_AUTH=$old redis-cli $tls | grep -qx OK""",
    ),
}


def rotate(folder: Path, kind: str, compose: Sequence[str]) -> None:
    """Give it a new password, and everybody who has it.

    Raises:
        NotHealthy: a step failed. Run again, it begins anew with what is in use.
    """
    old, new = secrets_folder.password_of(folder, kind), secrets_folder.new_password()
    running = there(compose)
    if kind in _CHANGES:
        service, script = _CHANGES[kind]
        run(compose, "exec", "-T", service, "sh", "-c", script, given=f"{old}\n{new}\n")
    else:
        run(compose, "stop", *[one for one in DRAINED_FIRST if one in running])
    secrets_folder.write(folder, kind, new)
    roll(compose, [one for one in USERS[kind] if one in running])


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[2] not in USERS:  # noqa: PLR2004  (folder, secret, command)
        sys.exit(f"usage: rotate.py FOLDER {'|'.join(USERS)} COMPOSE …")
    try:
        rotate(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except (NotHealthy, OSError) as error:
        sys.exit(str(error))
