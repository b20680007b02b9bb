"""The job that comes first: `python -m redrive.infra.docker.migrate` makes the databases and brings their tables up to date.

Safe to repeat, and safe beside running services: both migrations wait for each other under a lock of the database.

Danger: the database that `REDRIVE_DATABASE_URL` names must exist; those of Prefect and of synced data beside it are made here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.settings import Settings, settings
from redrive.deployments.dead_letters.ledger import Ledger

#: Seconds the database may take to come.
PATIENCE = 120.0
#: Seconds between two tries.
PAUSE = 1.0
#: Of every database; parameters and tracebacks hold any text.
ENCODING = "UTF8"


class EncodingError(RedriveError):
    """A database in an encoding that cannot hold every text."""


def make_databases(here: Settings) -> list[str]:
    """Make what is missing beside the ledger's database; their names.

    Raises:
        EncodingError: the ledger's database cannot hold every text.
        psycopg.Error: the server refuses, or does not answer.
    """
    urls = [here.prefect_database_url(), *([] if here.warehouse_url else [here.synced_url()])]
    wanted = [name for url in urls if (name := make_url(url).database)]
    with psycopg.connect(here.ledger_url().replace("+psycopg:", ":", 1), autocommit=True) as connection:
        if (encoding := connection.info.parameter_status("server_encoding")) != ENCODING:
            raise EncodingError(
                f"database {connection.info.dbname} is in {encoding}, which cannot hold every text: "
                f"make it with CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0"
            )
        present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        missing = [name for name in wanted if name not in present]
        for name in missing:
            # Of the empty template, because the usual one may be in another encoding.
            create = sql.SQL("CREATE DATABASE {} ENCODING {} TEMPLATE template0")
            # Somebody else who migrates may have made it meanwhile.
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(create.format(sql.Identifier(name), sql.Literal(ENCODING)))
    return missing


def main() -> None:
    here = settings()
    if not here.database_url:
        _refuse("REDRIVE_DATABASE_URL is not set: there is no database to migrate")
    until_it_answers = Retrying(
        retry=retry_if_exception_type(psycopg.OperationalError),
        wait=wait_fixed(PAUSE),
        stop=stop_after_delay(PATIENCE),
        reraise=True,
    )
    try:
        made = until_it_answers(make_databases, here)
    except psycopg.OperationalError as error:
        _refuse(f"the database does not answer for {PATIENCE:g} s: {' '.join(str(error).split())}")
    except (EncodingError, psycopg.Error) as error:
        _refuse(f"the databases cannot be made: {' '.join(str(error).split())}")
    sys.stdout.write(f"databases made: {', '.join(made) or 'none, all are there'}\n")
    # Without its address Prefect would migrate a database of its own in a file, and report success.
    environment = {**os.environ, "PREFECT_SERVER_DATABASE_CONNECTION_URL": here.prefect_database_url()}
    for what, *module in (
        ("tables could not be migrated", "prefect", "server", "database", "upgrade", "-y"),
        ("block types could not be registered", "redrive.infra.docker.block_types"),
    ):
        if subprocess.run([sys.executable, "-P", "-m", *module], env=environment, check=False).returncode:
            _refuse(f"Prefect's {what}")
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
