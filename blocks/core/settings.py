"""Redrive's settings, read from the environment in this one place, and where they lead: addresses, files, databases.

Danger: `settings()` is read once per process; a changed environment needs a new process (or `Settings.load`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from pydantic import ValidationError

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.setting_fields import SettingFields
from redrive.blocks.core.settings_source import PREFIX, read_values

#: Unix socket names are limited to 107 bytes by the kernel; this much of it is the longest name we put into a folder
#: (`/.s.PGSQL.5432.lock` and one to spare).
SOCKET_FOLDER_LIMIT = 107 - 20

#: The jobs' logins in the embedded PostgreSQL: sync's, which owns the warehouse, and the one of reports, which reads there.
WRITER = "redrive_sync"
READER = "redrive_reports"

#: Names of this machine.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


class Settings(SettingFields):
    """What one stack or one client of it is told, and where it leads. Field `x_y` is read from `REDRIVE_X_Y`."""

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Settings from an environment, then from the stack's own record of its ports, then defaults.

        Raises:
            SettingsError: unknown `REDRIVE_*` name (with the nearest known one) or a value that does not fit.
        """
        environ = os.environ if environ is None else environ
        ours = [name for name in cls.model_fields if name not in {"external_api_url", "api_auth", "given"}]
        values = read_values(environ, ours)
        if auth := environ.get("PREFECT_API_AUTH_STRING"):
            values["api_auth"] = auth
        try:
            read = cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"{PREFIX}{str(first['loc'][0]).upper()}"
            raise SettingsError(f"{name}={first['input']!r} does not fit: {first['msg']}") from None
        api_url = environ.get("PREFECT_API_URL", "").rstrip("/")
        if api_url and not read.is_own_api(api_url):
            read = read.model_copy(update={"external_api_url": api_url})
        return read

    def is_own_api(self, url: str) -> bool:
        """Whether a Prefect API URL is this stack's own server (as `eval "$(redrive env)"` sets it)."""
        parts = urlsplit(url)
        return parts.port == self.prefect_port and (parts.hostname or "") in LOOPBACK | {self.host}

    # Where things are

    @property
    def api_url(self) -> str:
        """Prefect's API, without a trailing slash."""
        return self.external_api_url or f"http://{self.host}:{self.prefect_port}/api"

    @property
    def ui_url(self) -> str:
        """Prefect's UI, without a trailing slash."""
        return self.api_url.removesuffix("/api")

    def run_url(self, run_id: object) -> str:
        """A run's page in Prefect's UI. This stack's is of version 2, whose pages ask who is not signed in to do so, and come back."""
        version = "" if self.external_api_url else "/v2"
        return f"{self.ui_url}{version}/runs/flow-run/{run_id}"

    def auth_string(self) -> str | None:
        """`user:password` for Prefect's API, from the environment or the stack's 0600 file; None if there is none."""
        if self.api_auth:
            return self.api_auth.get_secret_value()
        if self.external_api_url:
            return None
        try:
            return self.auth_file.read_text().strip() or None
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def auth_file(self) -> Path:
        return self.home / "secrets" / "prefect-auth"

    @property
    def stack_file(self) -> Path:
        """The ports this stack was last started with; no secrets."""
        return self.home / "stack.json"

    @property
    def stack_id(self) -> str:
        """Names this REDRIVE_HOME among others on the machine: 12 hex digits."""
        return hashlib.sha256(str(self.home).encode()).hexdigest()[:12]

    @property
    def socket_folder(self) -> Path:
        """Folder for Unix sockets: in REDRIVE_HOME, or a short one in the temporary folder if that name is too long."""
        inside = self.home / "run"
        if len(os.fsencode(inside)) <= SOCKET_FOLDER_LIMIT:
            return inside
        # Not the TMPDIR of whoever asks: all must find the same folder.
        return Path("/tmp") / f"redrive-{os.getuid()}-{self.stack_id}"  # noqa: S108  (0700, and `up` checks whose it is)

    def console_job_url(self, run_id: object) -> str:
        """A job's page in the operator's console."""
        return f"{self.console_url or f'http://{self.host}:{self.console_port}'}/jobs/{run_id}"

    def link_to_trace(self, trace_id: str | None) -> str | None:
        """Where a trace is shown; None if there is no trace, or nobody said where."""
        return self.trace_url.replace("{trace_id}", trace_id) if trace_id and self.trace_url else None

    def certificate(self) -> tuple[Path, Path] | tuple[None, None]:
        """Certificate and key with which a server of ours speaks TLS; nothing without TLS.

        Raises:
            SettingsError: a file of it cannot be read.
        """
        if self.tls is None:
            return None, None
        found = self.tls / "tls.crt", self.tls / "tls.key"
        for path in found:
            if not os.access(path, os.R_OK):
                raise SettingsError(f"REDRIVE_TLS={self.tls}: {path.name} is not there, or not for this account")
        return found

    @property
    def samples(self) -> Path:
        return self.home / "samples"

    @property
    def outputs(self) -> Path:
        return self.home / "outputs"

    def place(self, path: str | Path) -> Path:
        """A path given to a job: absolute as it is, relative from REDRIVE_HOME."""
        return self.home / Path(path).expanduser()

    # The databases: one server, three databases, so that Prefect's tables, ours and a company's data never mix

    def ledger_url(self) -> str:
        """SQLAlchemy URL (psycopg) of the dead-letter ledger."""
        return self._database("redrive", "")

    def prefect_database_url(self) -> str:
        """SQLAlchemy URL (asyncpg) of Prefect's database, as its server takes it.

        Raises:
            SettingsError: the given address has a parameter that asyncpg does not know.
        """
        return _for_asyncpg(self.prefect_psycopg_url())

    def prefect_psycopg_url(self) -> str:
        """The same database for a client of ours."""
        return self._database("redrive_prefect", "_prefect")

    def synced_url(self) -> str:
        """SQLAlchemy URL (psycopg) of the database that sync jobs write to."""
        if self.warehouse_url:
            return _with_driver(self.warehouse_url.get_secret_value())
        return self._database("redrive_warehouse", "_warehouse", user=WRITER)

    def reading_url(self) -> str | None:
        """The same database for a login that only reads, where the stack has made one."""
        if self.warehouse_url or self.database_url:
            return None
        return self._database("redrive_warehouse", "_warehouse", user=READER)

    def _database(self, embedded: str, suffix: str, *, user: str = "postgres") -> str:
        if self.database_url:
            parts = urlsplit(_with_driver(self.database_url.get_secret_value()))
            return _url(parts._replace(path=parts.path.rstrip("/") + suffix))
        return f"postgresql+psycopg://{user}@/{embedded}?host={quote(str(self.socket_folder), safe='/')}"

    def valkey_url(self) -> str:
        """Redis URL of what must be fast and shared."""
        if self.redis_url:
            return self.redis_url.get_secret_value()
        return f"unix://{quote(str(self.socket_folder / 'valkey.sock'), safe='/')}"

    def mail_url(self) -> str:
        """`smtp://` or `smtps://` URL of the mail server."""
        return self.smtp_url.get_secret_value() if self.smtp_url else f"smtp://{self.host}:{self.smtp_port}"


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings.load()


#: Parameters of libpq's addresses that asyncpg takes, by its name for them.
_ASYNCPG = {"host": "host", "port": "port", "sslmode": "ssl", "target_session_attrs": "target_session_attrs"}
#: Those that it reads from the environment only.
_FROM_ENVIRONMENT = {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcrl": "PGSSLCRL"}


def _for_asyncpg(url: str) -> str:
    parts = urlsplit(url.replace("+psycopg:", "+asyncpg:", 1))
    given = parse_qsl(parts.query, keep_blank_values=True)
    for name, value in given:
        if name not in _ASYNCPG:
            env = _FROM_ENVIRONMENT.get(name)
            fix = f"set {env}={value} in the environment, which all of us read" if env else "leave it out"
            raise SettingsError(
                f"REDRIVE_DATABASE_URL: Prefect's server takes no `{name}` in the address of its database: {fix}"
            )
    query = "&".join(f"{_ASYNCPG[name]}={quote(value, safe='/')}" for name, value in given)
    return _url(parts._replace(query=query))


def _url(parts: SplitResult) -> str:
    """Not `geturl`, which takes the `//` away where no host stands, as in `postgresql:///jobs?host=/run/postgresql`."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if parts.query else ''}{parts.query}"


def _with_driver(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"} or not separator:
        raise SettingsError(f"a database URL must begin with postgresql://, not {scheme}://")
    return f"postgresql+psycopg://{rest}"
