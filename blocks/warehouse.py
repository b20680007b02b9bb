"""The warehouse: the PostgreSQL database that sync jobs write to and reports read from, as a Prefect block.

Danger: the URL holds a password; it leaves this file only towards the driver, never in a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

import psycopg
from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from redrive.blocks.core.errors import PermanentError, RedriveError
from redrive.blocks.core.patience import patient
from redrive.blocks.core.timely_postgres import TimelyConnection

#: Seconds; a database in the same network answers in well under one.
CONNECT_TIMEOUT = 10
#: Seconds where a person waits for the answer.
CHECK_TIMEOUT = 5
#: What the server says of a login that will not work later either.
_REFUSED = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "does not have CONNECT privilege",
    "pg_hba.conf rejects connection",
)


class WarehouseUnreachable(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """The warehouse cannot be reached."""


class Warehouse(Block):
    """A PostgreSQL database that sync jobs write to and reports read from.

    Example:
        ```python
        from redrive.blocks.warehouse import Warehouse

        with Warehouse.load("default").connect() as connection:
            connection.execute("select 1")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Warehouse"
    _block_type_slug: ClassVar[str | None] = "warehouse"
    _description: ClassVar[str | None] = "A PostgreSQL database that sync jobs write to and reports read from."
    _logo_url: ClassVar[Any] = (
        "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/sql-alchemy.png"
    )
    _documentation_url: ClassVar[Any] = (
        "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS"
    )

    url: SecretStr = Field(
        title="URL",
        description="Where the database is and who logs in: `postgresql://user:password@host:5432/database`.",
    )
    reader: SecretStr | None = Field(
        None,
        title="URL for reading",
        description="The same database for a login that may only SELECT, used where a job only reads. None: the URL above.",
    )

    @contextmanager
    def connect(
        self, *, read_only: bool = False, statement_timeout: float | None = None
    ) -> Iterator[psycopg.Connection]:
        """A connection with one transaction: committed at the end, rolled back on an error.

        Args:
            read_only: the transaction may change nothing; with the login for reading, where there is one.
            statement_timeout: seconds one statement may take.

        Raises:
            WarehouseUnreachable: no connection; another try may work.
            PermanentError: the URL, the login or the database name is wrong.
        """
        url = self.reader if read_only and self.reader else self.url
        connection = _opened(url.get_secret_value())
        with connection:
            connection.read_only = read_only
            if statement_timeout:
                connection.execute(
                    "select set_config('statement_timeout', %s, true)", [str(round(statement_timeout * 1000))]
                )
            yield connection

    def check(self) -> str:
        """Try the connection and say in a sentence what answered; raises as `connect` does."""
        answers = []
        for url in (self.url, *([self.reader] if self.reader else [])):
            # Not in `connect`: a job's statements may take long, and have timeouts of their own.
            with (
                patient(CHECK_TIMEOUT),
                _opened(url.get_secret_value(), TimelyConnection, CHECK_TIMEOUT) as connection,
            ):
                connection.read_only = True
                row = connection.execute(
                    "select current_database(), current_user, current_setting('server_version')"
                ).fetchone()
                answers.append(row or ("?", "?", "?"))
        database, user, version = answers[0]
        detail = f"the warehouse answers: database {database} on PostgreSQL {version}, as {user}"
        return f"{detail}, for reading as {answers[1][1]}" if self.reader else detail


def _opened(
    url: str, kind: type[psycopg.Connection[Any]] = psycopg.Connection, timeout: int = CONNECT_TIMEOUT
) -> psycopg.Connection[Any]:
    scheme, separator, rest = url.partition("://")
    if scheme.partition("+")[0] not in {"postgresql", "postgres"} or not separator:
        raise PermanentError(
            "the Warehouse block's URL must begin with postgresql://: correct it in Prefect under Blocks"
        )
    try:
        return kind.connect(f"postgresql://{rest}", connect_timeout=timeout, application_name="redrive")
    except psycopg.OperationalError as error:
        detail = _reason(error)
        where = _place(url)
        if any(word in detail for word in _REFUSED):
            raise PermanentError(
                f"the warehouse at {where} refuses the login ({detail}): correct the Warehouse block"
            ) from error
        raise WarehouseUnreachable(
            f"the warehouse at {where} cannot be reached ({detail}): check that it runs"
        ) from error
    except psycopg.Error as error:
        raise PermanentError("the Warehouse block's URL cannot be read: correct it in Prefect under Blocks") from error


def _place(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname or "its socket"


def _reason(error: psycopg.Error) -> str:
    """The server's own words, without psycopg's list of attempts."""
    last = str(error).strip().splitlines()[-1].strip()
    return last.rpartition("FATAL:")[2].strip() or last
