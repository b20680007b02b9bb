"""What the local worker's process is given: no way to our databases, and a heartbeat that fits the lease."""

from __future__ import annotations

from pathlib import Path

import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.worker import OpsWorker, Worker, database_credentials, heartbeat_seconds
from redrive.infra.local.launch import environment_of
from redrive.infra.local.record import Record


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


class StockWorker(Worker):
    """As for a pool of Prefect's own type that somebody made before."""

    pool_type = "process"


@pytest.mark.parametrize(
    ("kind", "has_it"),
    [(Worker, False), (StockWorker, False), (OpsWorker, True)],
    ids=["warm", "stock", "housekeeping"],
)
def test_workers_of_jobs_inherit_no_login_of_the_ledger_whatever_their_kind(
    kind: type[Worker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_it: bool
) -> None:
    given = {"REDRIVE_HOME": str(tmp_path), "REDRIVE_DATABASE_URL": "postgresql://me:hidden@db/redrive"}
    for name, value in {**given, "PGPASSWORD": "hidden"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load(given)
    Record.of(settings, []).write(settings)
    (tmp_path / "run").mkdir()
    worker = kind(settings)

    program = worker.program()
    environment = environment_of(worker, program)

    assert ("prefect" in program.argv) is (kind is not Worker)
    assert any("hidden" in value for value in environment.values()) is has_it
    assert not any("hidden" in argument for argument in program.argv)


def test_an_address_without_a_password_hides_nothing_else() -> None:
    assert database_credentials({"REDRIVE_DATABASE_URL": "postgresql://db/redrive", "EMPTY": "", "LANG": "C"}) == {
        "REDRIVE_DATABASE_URL"
    }


@pytest.mark.parametrize(("lease", "seconds"), [(90, 22), (600, 30), (20, 5), (6, 1), (1, 1)])
def test_heartbeats_follow_the_lease(tmp_path: Path, lease: float, seconds: int) -> None:
    settings = Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_RETRY_AFTER": str(lease)})

    assert heartbeat_seconds(settings) == seconds
