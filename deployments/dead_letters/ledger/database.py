"""The connection to the ledger's database: its pool, its transactions, and one clear error when it is unavailable.

Danger: a transaction may be run twice (deadlock, serialisation), so nothing but database work belongs into one.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from redrive.blocks.core.errors import Conflict, LedgerUnavailable, RedriveError, SettingsError
from redrive.blocks.core.timely_postgres import TimelyConnection
from redrive.deployments.dead_letters.ledger.text import jsonable

Result = TypeVar("Result")

#: The keeper works in few threads; what needs more at once waits for one of these.
POOL_SIZE: Final = 5
POOL_OVERFLOW: Final = 5

#: Seconds to wait for a new connection, and for a free one in the pool.
CONNECT_TIMEOUT: Final = 5
POOL_TIMEOUT: Final = 10

#: Milliseconds that sent data may stay unacknowledged: a host that vanished is noticed in this time, not after hours.
TCP_USER_TIMEOUT: Final = 15_000

#: Seconds a writer waits for another one on SQLite, where there is one writer at a time.
SQLITE_BUSY_TIMEOUT: Final = 30

#: How often a transaction is tried that lost against another one.
ATTEMPTS: Final = 5

_LOST_AGAINST_ANOTHER: Final = frozenset({"40001", "40P01"})
_LOCK_TIMEOUT: Final = "55P03"
_NO_TABLE: Final = "42P01"
#: SQLSTATE classes that say the server, its disk or the way to it is the trouble: connection, invalid authorisation,
#: no such database, insufficient resources, operator intervention (a stop or start), system error.
_UNAVAILABLE: Final = frozenset({"08", "28", "3D", "53", "57", "58"})


class Database:
    """One database, by SQLAlchemy URL: `postgresql+psycopg://…` or `sqlite:///…`. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except SQLAlchemyError:
            raise SettingsError(
                "the ledger's database URL cannot be read; it looks like postgresql://user@host/name"
            ) from None
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._engine()
        self._here = threading.local()
        # A lock may be held for as long as an API call takes, while its holder needs a second connection from the pool.
        self.lock_engine = self._engine(poolclass=NullPool)

    def _engine(self, **options: Any) -> Engine:
        common: dict[str, Any] = {"json_serializer": lambda value: json.dumps(jsonable(value)), "hide_parameters": True}
        if self.is_sqlite:
            engine = create_engine(self.url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT}, **common, **options)
            event.listen(engine, "connect", _sqlite_connected)
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
            return engine
        if not options:
            options = {
                "pool_size": POOL_SIZE,
                "max_overflow": POOL_OVERFLOW,
                "pool_timeout": POOL_TIMEOUT,
                "pool_pre_ping": True,
            }
        reach = {
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": TCP_USER_TIMEOUT,
            "application_name": "redrive-ledger",
        }
        given = set(self.url.query)
        engine = create_engine(
            self.url,
            connect_args={name: value for name, value in reach.items() if name not in given},
            **common,
            **options,
        )
        event.listen(engine, "do_connect", _timely)
        return engine

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, done in one transaction; done again if it lost against another transaction.

        Raises:
            LedgerUnavailable: the database cannot be reached or cannot answer.
        """
        if (shared := getattr(self._here, "connection", None)) is not None:
            return work(shared)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == ATTEMPTS or _sqlstate(error) not in _LOST_AGAINST_ANOTHER:
                    raise explained(error) from error
            except SQLAlchemyError as error:
                raise explained(error) from error
        raise AssertionError

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread reads meanwhile is read on one connection in one transaction, which spares asking for each apart.

        Raises:
            LedgerUnavailable: as `run`.
        """
        try:
            with self.engine.begin() as connection:
                self._here.connection = connection
                try:
                    yield
                finally:
                    self._here.connection = None
        except SQLAlchemyError as error:
            raise explained(error) from error

    @contextmanager
    def lock_connection(self) -> Iterator[Connection]:
        """A transaction on a connection of its own, for what is held longer than one statement."""
        try:
            with self.lock_engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise explained(error) from error

    def dispose(self) -> None:
        self.engine.dispose()
        self.lock_engine.dispose()


def _timely(_dialect: object, _record: object, arguments: Any, options: Any) -> TimelyConnection:
    return TimelyConnection.connect(*arguments, **options)


def explained(error: SQLAlchemyError) -> RedriveError | SQLAlchemyError:
    """The error as an operator needs it; an error that only a programmer can fix stays what it is."""
    if not isinstance(error, DBAPIError):
        # Waiting for a free connection took too long, which happens when the server hangs.
        return (
            LedgerUnavailable(f"the ledger's database is unavailable: {_first_line(error)}")
            if "QueuePool" in str(error)
            else error
        )
    state = _sqlstate(error)
    detail = _first_line(error.orig or error)
    if state == _LOCK_TIMEOUT:
        return Conflict(f"somebody else holds this for too long: {detail}")
    if state == _NO_TABLE or "no such table" in detail:
        return RedriveError(
            f"the ledger has no tables yet ({detail}); run its migrations: start the stack, or Ledger.migrate()"
        )
    if isinstance(error.orig, sqlite3.OperationalError):
        unavailable = any(sign in detail for sign in ("locked", "unable to open", "disk", "readonly"))
    else:
        # Without a SQLSTATE the server never got to say anything.
        unavailable = (
            error.connection_invalidated
            or (state is None and _is_operational(error))
            or (state or "")[:2] in _UNAVAILABLE
        )
    return LedgerUnavailable(f"the ledger's database is unavailable: {detail}") if unavailable else error


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in {"OperationalError", "InterfaceError"}


def _sqlstate(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _sqlite_connected(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not open transactions by itself: `BEGIN IMMEDIATE` takes the one writer's place at once, so that two
    # readers who both want to write do not end in "database is locked".
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    # A power cut may undo the last transactions, which a sweep repeats; it cannot break the file.
    connection.execute("PRAGMA synchronous=NORMAL")
