"""The job that comes first: `python -m redrive.infra.docker.migrate` makes the databases and brings their tables up to date.

Safe to repeat, and safe beside running services: both migrations wait for each other under a lock of the database.

Danger: the database that `REDRIVE_DATABASE_URL` names must exist; those of Prefect and of synced data beside it are made here.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.settings import Settings, settings
from redrive.deployments.dead_letters.ledger import Ledger

#: Seconds the database may take to come.
PATIENCE = 120.0
#: Seconds between two tries.
PAUSE = 1.0


def make_databases(here: Settings) -> list[str]:
    """Make what is missing beside the ledger's database; their names.

    Raises:
        psycopg.Error: the server refuses, or does not answer.
    """
    urls = [here.prefect_database_url(), *([] if here.warehouse_url else [here.synced_url()])]
    wanted = [name for url in urls if (name := make_url(url).database)]
    with psycopg.connect(here.ledger_url().replace("+psycopg:", ":", 1), autocommit=True) as connection:
        present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        missing = [name for name in wanted if name not in present]
        for name in missing:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return missing


def main() -> None:
    here = settings()
    if not here.database_url:
        _refuse("REDRIVE_DATABASE_URL is not set: there is no database to migrate")
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            made = make_databases(here)
            break
        except psycopg.OperationalError as error:
            if time.monotonic() > give_up:
                _refuse(f"the database does not answer for {PATIENCE:g} s: {' '.join(str(error).split())}")
            time.sleep(PAUSE)
    sys.stdout.write(f"databases made: {', '.join(made) or 'none, all are there'}\n")
    done = subprocess.run([sys.executable, "-P", "-m", "prefect", "server", "database", "upgrade", "-y"], check=False)
    if done.returncode:
        _refuse("Prefect's tables could not be migrated")
    try:
        with Ledger(here.ledger_url()) as ledger:
            ledger.migrate()
    except RedriveError as error:
        _refuse(str(error))
    sys.stdout.write("tables of Prefect and of the ledger are up to date\n")


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
