"""What a start of the server need not do again: Prefect's migrations and block types, in a database that has them of this very release.

Prefect reads its hundreds of migrations at each start to find that none is new, and loads every collection to compare its block types
with a note of its own, which knows a database by its address: a sixth of a start that has nothing to do (2026-11-30).

Danger: anything that is not exactly as it was when all was done is done again, by Prefect's own code.
"""

from __future__ import annotations

import hashlib
import logging
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
from prefect.settings import (
    PREFECT_API_BLOCKS_REGISTER_ON_START,
    PREFECT_API_DATABASE_MIGRATE_ON_START,
    PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION,
)

from redrive.infra.server.database import Database

log = logging.getLogger("prefect.server.redrive")

#: In Prefect's own table of what a server keeps, which a reset of the database empties with all others.
KEY: Final = "redrive.prepared"
#: Where Prefect finds ours.
BLOCKS: Final = Path(__file__).resolve().parents[2] / "blocks"
_WHEN_ALL_WAS_DONE: Final = """
SELECT (SELECT value FROM configuration WHERE key = $1), array(SELECT version_num FROM alembic_version ORDER BY 1)
"""
_NOTE: Final = """
INSERT INTO configuration (key, value)
SELECT $1, json_build_object('release', $2::text, 'revisions', array(SELECT version_num FROM alembic_version ORDER BY 1))
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated = now()
"""
_UNAVAILABLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


async def has_all(database: Database) -> bool:
    """Whether this release has done all there is to do in this database."""
    try:
        async with database.connection() as connection:
            noted, revisions = await connection.fetchrow(_WHEN_ALL_WAS_DONE, KEY)
    except _UNAVAILABLE:
        # A new database has no tables, and one that is away is met again by whoever needs it.
        return False
    return noted is not None and orjson.loads(noted) == {"release": release(), "revisions": revisions}


def settings_for(*, has_all: bool) -> dict[Any, Any]:
    """Prefect's settings with which a start does what its database lacks, and that without asking Prefect's own note of it."""
    own: dict[Any, Any] = {PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION: False}
    if not has_all:
        return own
    return own | {PREFECT_API_DATABASE_MIGRATE_ON_START: False, PREFECT_API_BLOCKS_REGISTER_ON_START: False}


async def note(database: Database) -> None:
    """Store that this release did all there was to do; called once the server has started with Prefect's own settings for that."""
    if not (PREFECT_API_DATABASE_MIGRATE_ON_START.value() and PREFECT_API_BLOCKS_REGISTER_ON_START.value()):
        return
    try:
        async with database.connection() as connection:
            await connection.execute(_NOTE, KEY, release())
    except _UNAVAILABLE as error:
        log.warning("the next start does again what this one did, as it could not be noted: %r", error)


def release() -> str:
    """A hash of what brings migrations and block types: Prefect, each installed collection, the blocks of ours as they are written."""
    found = hashlib.sha256(version("prefect").encode())
    for collection in sorted(entry_points(group="prefect.collections"), key=lambda one: one.name):
        found.update(f"{collection.name} {collection.value} {collection.dist and collection.dist.version}\n".encode())
    for file in sorted(BLOCKS.glob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()
