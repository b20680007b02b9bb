"""A start of the server leaves out what its database has of this very release, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from redrive.infra.server.prepared import KEY
from tests.support.postgres import PostgresServer
from tests.support.served import PATIENCE, environment, serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

NOTED = "SELECT value::text FROM configuration WHERE key = %s"
DROPPED = "DELETE FROM block_type WHERE slug = 'slack-webhook'"
PRESENT = "SELECT count(*) FROM block_type WHERE slug = 'slack-webhook'"
REVISION = "SELECT version_num FROM alembic_version"


def test_start_does_only_what_the_database_lacks(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.database()
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:

        def tell(query: str, *values: object) -> object:
            row = connection.execute(query.encode(), values).fetchone()
            return row and row[0]

        with serving(url, tmp_path, "--no-services"):
            wait_until(lambda: tell(NOTED, KEY), PATIENCE, "the start to be noted")
        first = tell(NOTED, KEY)
        assert tell(PRESENT) == 1

        # Nothing to do: what somebody took away stays away.
        connection.execute(DROPPED.encode())
        with serving(url, tmp_path, "--no-services"):
            pass
        assert tell(PRESENT) == 0

        # Another release noted it: all is done again, and noted anew.
        connection.execute(b'UPDATE configuration SET value = \'{"release": "older"}\' WHERE key = %s', (KEY,))
        with serving(url, tmp_path, "--no-services"):
            wait_until(lambda: tell(NOTED, KEY) == first, PATIENCE, "the start to be noted")
        assert tell(PRESENT) == 1

        # It has not all of Prefect's migrations: the rest is made up for.
        newest = tell(REVISION)
        downgrade = [sys.executable, "-P", "-m", "prefect", "server", "database", "downgrade", "-r", "-1", "-y"]
        subprocess.run(downgrade, env=environment(url, tmp_path, 0), check=True, capture_output=True, timeout=PATIENCE)
        assert tell(REVISION) != newest
        with serving(url, tmp_path, "--no-services"):
            assert tell(REVISION) == newest
