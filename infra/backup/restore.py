"""`redrive restore`: an installation as it was in a backup.

Each database is restored beside the one in use and then takes its name: until that moment nothing is lost, and a restore that fails
leaves everything as it was. The one in use is kept under another name, for whoever restored by mistake.

Danger: what happened since the backup is undone, jobs that completed since run again. Workers and the keeper must be stopped, or they
would act on both.
"""

from __future__ import annotations

import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from redrive.blocks.core.settings import Settings
from redrive.infra.backup.backup import RESULTS, Report, databases, results_folder
from redrive.infra.backup.manifest import BackupError, Manifest
from redrive.infra.backup.postgres_tools import database, libpq, require_readable, restore_dump, tool

#: Databases that always are there, to be connected to while the others are renamed.
_MAINTENANCE = ("postgres", "template1")


def restore(settings: Settings, folder: Path, report: Report = lambda _: None, *, replace: bool = False) -> list[str]:
    """Restore a backup; names of the databases that were there, as they are called now.

    Args:
        replace: also where there are databases with something in them.

    Raises:
        BackupError: it is not whole, pg_restore here cannot read it, the databases are not empty, or PostgreSQL refuses.
    """
    tool("pg_restore")
    manifest = Manifest.read(folder)
    manifest.require_whole(folder)
    urls = {what: url for what, url in databases(settings).items() if f"{what}.dump" in manifest.files}
    for what in urls:
        require_readable(folder / f"{what}.dump", made_with=manifest.pg_dump)
    try:
        if not replace and (full := [database(url) for url in urls.values() if not _is_empty(url)]):
            raise BackupError(
                f"there is something in {', '.join(full)}: with --replace what was restored takes their place, and they are kept "
                "under another name"
            )
        for what, url in urls.items():
            _restore_beside(url, folder / f"{what}.dump")
            report(f"{what}: restored beside")
        target = results_folder(settings)
        beside = target.parent / f".{target.name}-restored"
        if RESULTS in manifest.files:
            target.mkdir(parents=True, exist_ok=True)
            # Of a restore that was cut off.
            shutil.rmtree(beside, ignore_errors=True)
            unpack(folder / RESULTS, beside)
        kept = [kept for url in urls.values() if (kept := _swap(url))]
    except psycopg.Error as error:
        raise BackupError(f"PostgreSQL refuses: {' '.join(str(error).split())}") from None
    if RESULTS in manifest.files:
        _take_over(beside / "results", target)
        report("results: restored")
    return kept


def unpack(archive: Path, into: Path) -> None:
    """Folders and files of a tar: `extractall` takes links and paths of elsewhere too, and its filter is not in every Python 3.11.

    Raises:
        BackupError: something in it would lie elsewhere, or is neither file nor folder.
    """
    with tarfile.open(archive) as tar:
        for entry in tar:
            place = into / entry.name
            if ".." in place.parts or not place.is_relative_to(into) or not (entry.isdir() or entry.isfile()):
                raise BackupError(f"{archive} holds {entry.name}, which no backup has: nothing of it was restored")
            folder = place if entry.isdir() else place.parent
            folder.mkdir(parents=True, exist_ok=True)
            # None for a folder.
            if content := tar.extractfile(entry):
                with content, place.open("wb") as file:
                    shutil.copyfileobj(content, file)
                place.chmod(entry.mode & 0o777)


def _beside(url: str) -> str:
    return f"{database(url)}_restored"


def _maintenance(url: str) -> psycopg.Connection:
    """A connection that is in none of the databases."""
    last: psycopg.Error | None = None
    for name in _MAINTENANCE:
        try:
            return psycopg.connect(_other_database(url, name), autocommit=True)
        except psycopg.Error as error:
            last = error
    raise last or BackupError("no database to connect to")


def _other_database(url: str, name: str) -> str:
    """How another database of the same server is reached."""
    given: dict[str, Any] = conninfo_to_dict(libpq(url))
    return make_conninfo(**{**given, "dbname": name})


def _exists(connection: psycopg.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _is_empty(url: str) -> bool:
    with _maintenance(url) as connection:
        if not _exists(connection, database(url)):
            return True
    with psycopg.connect(libpq(url)) as inside:
        tables = "SELECT 1 FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') LIMIT 1"
        return inside.execute(tables).fetchone() is None


def _restore_beside(url: str, dump: Path) -> None:
    """Owner and rights of the warehouse are given anew by `redrive up`: the logins of its jobs may not exist here yet."""
    name = sql.Identifier(_beside(url))
    with _maintenance(url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    restore_dump(_other_database(url, _beside(url)), dump)


def _swap(url: str) -> str | None:
    """Give what was restored its name; how the one before is called now, if there was something in it."""
    name, kept = database(url), f"{database(url)}_before_{datetime.now(UTC):%Y%m%d%H%M%S}"
    empty = _is_empty(url)
    with _maintenance(url) as connection:
        there = not empty and _exists(connection, name)
        if empty:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        if there:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            connection.execute(_renamed(name, kept))
        connection.execute(_renamed(_beside(url), name))
    return kept if there else None


def _renamed(old: str, new: str) -> sql.Composed:
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))


def _take_over(restored: Path, target: Path) -> None:
    """Results that are there and not in the backup stay: their names are of contents and runs."""
    for path in restored.rglob("*"):
        place = target / path.relative_to(restored)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    for path in sorted(restored.rglob("*"), reverse=True):
        path.rmdir()
    restored.rmdir()
    restored.parent.rmdir()
