"""Snapshots of several databases of one moment.

PostgreSQL knows no snapshot over several databases. So writers are kept out of the tables that tell what became of jobs, in both, for
the milliseconds in which the snapshots are taken: no change of a job can stand in one and not in the other.

Danger: the moment of quiet holds up every job. It is given up after `QUIET` seconds of waiting, and tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from redrive.infra.backup.manifest import BackupError
from redrive.infra.backup.postgres_tools import database, libpq

#: Seconds to wait for writers that are under way, and how often that is tried.
QUIET, TRIES = 2.0, 10
PAUSE = 0.3

#: Tables nobody writes to in that moment, in the order in which they are locked, by database.
LOCKED = {"ledger": ("dead_letters",), "prefect": ("flow_run", "flow_run_state")}


@dataclass(frozen=True)
class Snapshots:
    """Names for `pg_dump --snapshot`, the moment they are of, and the server's major version."""

    names: Mapping[str, str]
    at: datetime
    version: int


@contextmanager
def one_moment(urls: Mapping[str, str]) -> Iterator[Snapshots]:
    """Snapshots of these databases (by what they are), as long as the block lasts.

    Raises:
        BackupError: a database does not answer, or there was never a quiet moment.
    """
    with ExitStack() as stack:
        readers = {}
        try:
            for what, url in urls.items():
                reader = stack.enter_context(psycopg.connect(libpq(url), autocommit=True))
                reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                readers[what] = reader
        except psycopg.Error as error:
            raise BackupError(f"database {database(url)} does not answer: {' '.join(str(error).split())}") from None
        until_it_is_quiet = Retrying(
            retry=retry_if_exception_type(psycopg.errors.LockNotAvailable),
            wait=wait_fixed(PAUSE),
            stop=stop_after_attempt(TRIES),
            reraise=True,
        )
        try:
            names = until_it_is_quiet(_quietly, urls, readers)
        except psycopg.errors.LockNotAvailable:
            raise BackupError(
                f"writers gave no moment of quiet in {TRIES} tries of {QUIET:g} s; "
                "is a long transaction open? pg_stat_activity shows it"
            ) from None
        except psycopg.Error as error:
            raise BackupError(f"no snapshot: {' '.join(str(error).split())}") from None
        version = next(iter(readers.values())).info.server_version // 10000
        yield Snapshots(names, datetime.now(UTC), version)


def _quietly(urls: Mapping[str, str], readers: Mapping[str, psycopg.Connection]) -> dict[str, str]:
    with ExitStack() as stack:
        for what, url in urls.items():
            if what not in LOCKED:
                continue
            # Closing it ends the transaction, and with that the quiet.
            lock = stack.enter_context(psycopg.connect(libpq(url)))
            lock.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(f"{QUIET:g}s")))
            tables = sql.SQL(", ").join(map(sql.Identifier, LOCKED[what]))
            lock.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(tables))
        names = {}
        for what, reader in readers.items():
            # The first query of a transaction takes its snapshot.
            found = reader.execute("SELECT pg_export_snapshot()").fetchone()
            assert found  # noqa: S101  (a function's answer is one row)
            names[what] = str(found[0])
        return names
