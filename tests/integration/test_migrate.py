"""The job of a release that makes the databases: `python -m redrive.infra.docker.migrate`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from redrive.blocks.core.settings import Settings
from redrive.infra.backup.postgres_tools import libpq
from redrive.infra.docker.migrate import EncodingError, make_databases
from tests.support.postgres import running_server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with running_server() as server:
        yield libpq(server.database())


def test_databases_are_made_once_and_hold_any_text(server_url: str, tmp_path: Path) -> None:
    here = Settings.load({"REDRIVE_DATABASE_URL": server_url, "REDRIVE_HOME": str(tmp_path)})
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("UPDATE pg_database SET encoding = 0 WHERE datname = 'template1'")

    made = make_databases(here)

    assert len(made) == 2
    assert make_databases(here) == []
    with psycopg.connect(libpq(here.prefect_database_url())) as inside:
        assert inside.info.parameter_status("server_encoding") == "UTF8"


def test_database_that_cannot_hold_any_text_is_refused_with_what_to_do(server_url: str, tmp_path: Path) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE narrow ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"))
    url = server_url.replace(psycopg.conninfo.conninfo_to_dict(server_url)["dbname"], "narrow")
    here = Settings.load({"REDRIVE_DATABASE_URL": url, "REDRIVE_HOME": str(tmp_path)})

    with pytest.raises(EncodingError, match=r"narrow is in SQL_ASCII, .* ENCODING 'UTF8' TEMPLATE template0"):
        make_databases(here)


def test_tables_of_prefect_and_of_the_ledger_are_made_where_the_settings_say(server_url: str, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "REDRIVE_"))}
    env |= {
        "REDRIVE_DATABASE_URL": server_url,
        "REDRIVE_HOME": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }

    subprocess.run([sys.executable, "-P", "-m", "redrive.infra.docker.migrate"], env=env, check=True, timeout=120)

    here = Settings.load({"REDRIVE_DATABASE_URL": server_url, "REDRIVE_HOME": str(tmp_path)})
    for url, table in ((here.prefect_database_url(), "flow_run"), (here.ledger_url(), "dead_letters")):
        with psycopg.connect(libpq(url)) as inside:
            assert inside.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,)
    with psycopg.connect(libpq(here.prefect_database_url())) as inside:
        assert inside.execute("SELECT count(*) FROM block_type WHERE slug = 'secret'").fetchone() == (1,)
