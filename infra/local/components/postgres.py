"""The embedded PostgreSQL, on a Unix socket only: a database each for Prefect, for the ledger and for synced data."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from redrive.blocks.core.patience import patient
from redrive.blocks.core.settings import Settings
from redrive.blocks.core.timely_postgres import TimelyConnection
from redrive.infra.local.component import Component, Program
from redrive.infra.local.components.postgres_files import (
    SERVER,
    account,
    check_access,
    clear_stale,
    data_folder,
    make_data,
)
from redrive.infra.local.components.warehouse_roles import make_roles, transfer
from redrive.infra.local.process import Account

#: Seconds a health check waits.
_PATIENCE = 2

#: For a laptop beside other work: 200 connections serve Prefect's pool, the workers' jobs and a person with psql.
_TUNING = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    # Three processes less; what they gain shows only with data far larger than memory.
    "io_method": "sync",
    # Parallel queries need shared memory that a container often lacks, and two cores gain nothing.
    "max_parallel_workers_per_gather": "0",
    # Nobody replicates this server.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # A job that dies in the middle of a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "10min",
    "client_connection_check_interval": "10s",
}


class Postgres(Component):
    name = "postgres"
    replaced_by = "REDRIVE_DATABASE_URL"
    # Fast shutdown. TERM would wait for every client to leave first.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def stop_seconds(self) -> int:
        """A checkpoint may take its time."""
        return 30

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        # Named after the account that starts the stack: asked before this process becomes another one.
        self._sockets = settings.socket_folder

    @property
    def is_external(self) -> bool:
        return self.settings.database_url is not None

    @property
    def account(self) -> Account | None:
        return account(self.settings) if os.geteuid() == 0 else None

    def program(self) -> Program:
        check_access(self.settings)
        make_data(self.settings)
        clear_stale(data_folder(self.settings), self._sockets)
        sockets = str(self._sockets).replace('"', '""')
        tuning = _TUNING | {"dynamic_shared_memory_type": "posix" if os.access("/dev/shm", os.W_OK) else "mmap"}  # noqa: S108
        options = [f"--{name}={value}" for name, value in tuning.items()]
        return Program((
            str(SERVER),
            "-D", str(data_folder(self.settings)),
            "-k", f'"{sockets}"',
            "-h", "",
            *options,
        ))  # fmt: skip

    def healthy(self) -> bool:
        try:
            with (
                patient(_PATIENCE),
                TimelyConnection.connect(_address(self.settings), connect_timeout=_PATIENCE) as connection,
            ):
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def settle(self) -> None:
        urls = [self.settings.ledger_url(), self.settings.prefect_database_url()]
        if not self.settings.warehouse_url:  # else it is on another server, whose owner makes it
            urls.append(self.settings.synced_url())
        wanted = [make_url(url).database for url in urls]
        with psycopg.connect(_address(self.settings), autocommit=True) as connection:
            present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in wanted:
                if name and name not in present:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            if not self.is_external:
                make_roles(connection)
        if not self.is_external and not self.settings.warehouse_url:
            with psycopg.connect(_address(self.settings, wanted[-1]), autocommit=True) as connection:
                transfer(connection)


def _address(settings: Settings, database: str | None = "postgres") -> str:
    """A database that surely exists: PostgreSQL's own in the embedded server, the ledger's in one of the user's."""
    if settings.database_url:
        return settings.ledger_url().replace("postgresql+psycopg:", "postgresql:", 1)
    # Not as a URL: SQLAlchemy writes a space in the folder's name as `+`, which libpq takes literally.
    return make_conninfo(host=str(settings.socket_folder), user="postgres", dbname=database)
