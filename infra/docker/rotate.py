"""A new password for a running infra/compose: `python infra/docker/rotate.py FOLDER database|redis|prefect COMPOSE …`.

COMPOSE … is the command that the installation was started with, such as `docker compose -p redrive -f infra/compose/compose.yaml`;
`make compose-rotate SECRET=redis` knows it. PostgreSQL and Redis take old and new meanwhile, so nothing stops; Prefect's API has one
password, so workers drain first, and whoever enqueues from outside needs the new one from then on.

Danger: passwords go to the databases' containers by standard input, never as arguments, which lists of processes show.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import secrets_folder

#: Seconds a container may take to be healthy.
PATIENCE = 180.0
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
#: What each database is told: the passwords come in two lines, the old one first.
_TOLD = {
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


class NotRotated(Exception):  # noqa: N818  (named like what happened)
    """One sentence: what did not work, and what is in use."""


def rotate(folder: Path, kind: str, compose: Sequence[str]) -> None:
    """Give it a new password, and everybody who has it.

    Raises:
        NotRotated: a step failed. Run again, it begins anew with what is in use.
    """
    old, new = secrets_folder.password_of(folder, kind), secrets_folder.new_password()
    running = _run(compose, "ps", "--services", "--filter", "status=running").split()
    if kind in _TOLD:
        service, script = _TOLD[kind]
        _run(compose, "exec", "-T", service, "sh", "-c", script, given=f"{old}\n{new}\n")
    else:
        _run(compose, "stop", *[one for one in DRAINED_FIRST if one in running])
    secrets_folder.write(folder, kind, new)
    for service in USERS[kind]:
        if service in running:
            _run(compose, "up", "-d", "--no-deps", "--force-recreate", service)
            _until_healthy(compose, service)
            sys.stdout.write(f"{service} has it\n")


def _until_healthy(compose: Sequence[str], service: str) -> None:
    give_up = time.monotonic() + PATIENCE
    (container,) = _run(compose, "ps", "-q", service).split()
    ask = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}"
    while (found := _run(["docker"], "inspect", "-f", ask, container).strip()) not in {"healthy", "running"}:
        if time.monotonic() > give_up:
            raise NotRotated(f"{service} is {found} with the new password, {PATIENCE:g} s after its start: see its log")
        time.sleep(1)


def _run(command: Sequence[str], *words: str, given: str = "") -> str:
    done = subprocess.run([*command, *words], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        what = " ".join(word for word in words[:4] if "\n" not in word)
        raise NotRotated(f"{what} failed: {' '.join((done.stderr or done.stdout).split())[-300:]}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[2] not in USERS:  # noqa: PLR2004  (folder, secret, command)
        sys.exit(f"usage: rotate.py FOLDER {'|'.join(USERS)} COMPOSE …")
    try:
        rotate(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except (NotRotated, OSError) as error:
        sys.exit(str(error))
