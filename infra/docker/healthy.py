"""The containers' health check: `python -m redrive.infra.docker.healthy`; exit code 0 if the role works, else 1 and one sentence.

The role is what `start` noted. The keeper is judged by when it last did a round; who has no way to tell is healthy while its process runs.
"""

from __future__ import annotations

import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from redrive.infra.docker.roles import ROLES
from redrive.infra.docker.start import noted_role

#: Seconds an answer may take.
PATIENCE = 5.0
#: Seconds since the keeper's last round; a round waits for Prefect's API and the ledger.
ROUND = 60.0
#: Roles whose program speaks TLS where `REDRIVE_TLS` says so.
SPEAK_TLS = ("server", "server-alone", "exporter", "console")
#: Ports where the environment names no other.
PORTS = {"prefect_port": "4200", "metrics_port": "9464", "console_port": "4300"}


def complaint(role: str, environ: dict[str, str]) -> str | None:
    """What is wrong with the role's program; None if nothing is known to be."""
    asks = ROLES[role].asks if role in ROLES else None
    if asks is None:
        return None
    if asks == "keeper":
        return _rounds(Path(environ.get("REDRIVE_HOME", "")) / "run" / "keeper.alive")
    ports = {name: environ.get(f"REDRIVE_{name.upper()}") or port for name, port in PORTS.items()}
    url, context = asks.format(**ports), None
    if role in SPEAK_TLS and (folder := environ.get("REDRIVE_TLS")):
        url = url.replace("http:", "https:", 1)
        try:
            context = ssl.create_default_context(cafile=Path(folder, "ca.crt"))
        except OSError as error:
            return f"REDRIVE_TLS={folder}: ca.crt cannot be read: {error.strerror}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context):  # noqa: S310  (as written in the table of roles)
            return None
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(200).decode(errors='replace')}"
    except OSError as error:
        return f"{url} does not answer: {error}"


def _rounds(alive: Path) -> str | None:
    try:
        age = time.time() - alive.stat().st_mtime
    except FileNotFoundError:
        return "the keeper has done no round yet"
    return f"the keeper's last round was {age:.0f} s ago" if age > ROUND else None


def main() -> None:
    noted = noted_role(os.environ)
    role = noted.read_text() if noted.exists() else ""
    message = complaint(role, dict(os.environ))
    if message:
        sys.stderr.write(f"{message}\n")
    sys.exit(1 if message else 0)


if __name__ == "__main__":
    main()
