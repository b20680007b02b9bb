"""The server of infra/server alone, on a database of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.stack import free_ports
from tests.support.waiting import wait_until

#: Seconds of a start that makes all tables.
PATIENCE = 120


def environment(url: str, folder: Path, port: int) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("REDRIVE_", "PREFECT_"))}
    return given | {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": url.replace("+psycopg", "+asyncpg", 1),
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "REDRIVE_HOME": str(folder),
    }


@contextmanager
def serving(url: str, folder: Path, *options: str, **settings: str) -> Iterator[httpx.Client]:
    """The server on that database, from its start to its end; a client of its API."""
    port = free_ports("prefect")["prefect"]
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "redrive.infra.server", *options],
        env={**environment(url, folder, port), **settings},
        stdout=log,
        stderr=log,
    )

    def is_there() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/ready", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    try:
        wait_until(is_there, PATIENCE, "the server to be ready")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", trust_env=False, timeout=PATIENCE) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()
