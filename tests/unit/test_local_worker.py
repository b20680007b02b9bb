"""What the local worker's process is given: no way to our databases, and a heartbeat that fits the lease."""

from __future__ import annotations

from pathlib import Path

import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.worker import database_credentials, heartbeat_seconds


def test_jobs_get_neither_the_databases_addresses_nor_their_passwords() -> None:
    given = {
        "REDRIVE_DATABASE_URL": "postgresql://me:p%40ss@db/redrive",
        "REDRIVE_WAREHOUSE_URL": "postgresql://me:other@db/warehouse",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://db/prefect",
        "PGPASSWORD": "p@ss",
        "MY_COPY": "host=db password=p%40ss",
        "REDRIVE_HOME": "/srv/redrive",
        "PATH": "/usr/bin",
    }

    assert given.keys() - database_credentials(given) == {"REDRIVE_HOME", "PATH"}


def test_an_address_without_a_password_hides_nothing_else() -> None:
    assert database_credentials({"REDRIVE_DATABASE_URL": "postgresql://db/redrive", "EMPTY": "", "LANG": "C"}) == {
        "REDRIVE_DATABASE_URL"
    }


@pytest.mark.parametrize(("lease", "seconds"), [(90, 22), (600, 30), (20, 5), (6, 1), (1, 1)])
def test_heartbeats_follow_the_lease(tmp_path: Path, lease: float, seconds: int) -> None:
    settings = Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_RETRY_AFTER": str(lease)})

    assert heartbeat_seconds(settings) == seconds
