"""Bringing the ledger's tables to the newest version.

Danger: runs at every start of the keeper, so two may run at once: the lock is taken before anything is looked at.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from redrive.blocks.core.patience import for_person, patience, patient
from redrive.deployments.dead_letters.ledger.database import Database

#: Seconds one statement of a migration may take.
MIGRATION: Final = 3600.0

VERSION_TABLE: Final = "ledger_version"
MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: "redrive" in telephone digits; any number does as long as nothing else in this database locks it.
_MIGRATION_LOCK: Final = 7337483

#: Alembic keeps the running migration in a global of its module.
_ONE_THREAD: Final = threading.Lock()


def migrate(database: Database) -> None:
    """Make or upgrade the tables, in one transaction; nothing happens if they are up to date.

    Raises:
        LedgerUnavailable: the database cannot be reached.
    """
    # A new index over a large table takes its time; a person whose command finds it in progress does not wait for it.
    with patient(patience() if for_person() else MIGRATION):
        database.run(_migrate)


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    if _is_newest(connection):
        return
    from alembic import command  # noqa: PLC0415  (half a second that a command pays only where there is something to do)
    from alembic.config import Config  # noqa: PLC0415  (as above)

    config = Config()
    # A percent sign in a path would be an interpolation to alembic.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _ONE_THREAD:
        command.upgrade(config, "head")


def _is_newest(connection: Connection) -> bool:
    """Whether the tables are of the newest version: the files are named by their revision, which counts on."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return False
    newest = max(path.stem.partition("_")[0].removeprefix("r") for path in (MIGRATIONS / "versions").glob("r*.py"))
    there = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608  (a constant)
    return there == [newest]
