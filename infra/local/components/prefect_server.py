"""The Prefect server with its UI, on the stack's PostgreSQL, behind a password made once per stack."""

from __future__ import annotations

import secrets
import sys

import httpx

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.requests import server
from redrive.infra.local import registration
from redrive.infra.local.component import Component, Program, Report
from redrive.infra.local.prefect_client import PATIENCE, ask, client_environment


class PrefectServer(Component):
    name = "prefect"
    needs = ("postgres",)
    replaced_by = "PREFECT_API_URL"
    port_setting = "prefect_port"
    # The first start makes the tables.
    start_timeout = 180
    start_seconds = 10

    @property
    def is_external(self) -> bool:
        return self.settings.external_api_url is not None

    def prepare(self) -> None:
        """Make the password, or take over the one given in the environment: the file tells the one in force."""
        given = self.settings.api_auth.get_secret_value() if self.settings.api_auth else None
        wanted = given or self.settings.auth_string() or f"redrive:{secrets.token_urlsafe(24)}"
        self.settings.auth_file.parent.mkdir(mode=0o700, exist_ok=True)
        self.settings.auth_file.touch(mode=0o600)
        self.settings.auth_file.write_text(wanted + "\n")

    def meanwhile(self, report: Report) -> None:  # noqa: ARG002  (nothing to tell)
        registration.load(self.settings)

    def program(self) -> Program:
        # Ours answers three calls of the worker itself and has Prefect's own application behind them.
        server = ("redrive.infra.server",) if self.settings.fast_server else ("prefect", "server", "start")
        return Program(
            # Address and port are in the environment.
            (sys.executable, "-P", "-m", *server),
            {**client_environment(self.settings), **_server(self.settings)},
            _TUNING,
        )

    def healthy(self) -> bool:
        try:
            # `health` answers once the process listens, `ready` once it reaches its database.
            for request in (server.health(), server.ready()):
                ask(self.settings, request, timeout=PATIENCE)
        except httpx.HTTPError:
            return False
        return True


#: Given ones of the environment win.
_TUNING = {
    # To wait for a slot is what jobs in a queue do. To mark each as Late is a change of state by Prefect's own rules, twice what all the
    # rest of a job costs the server, and most when most waits: 400 jobs every five seconds, a core's work until all are marked. How long
    # jobs wait is a metric, and an alert.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    # Task runs and events are written in batches, a task run a second late at most; as it comes, each of a task's three states is
    # a transaction of its own.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
    # Above this a connection is closed after each use, and a new one costs the server and the database ten queries. Prefect's 5 are
    # fewer than its services, the worker, the keeper and the exporter need at once.
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "20",
}


def _server(settings: Settings) -> dict[str, str]:
    given = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": settings.prefect_database_url(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # /api/metrics, behind the same password: its memory, processor and files.
        "PREFECT_SERVER_METRICS_ENABLED": "true",
        "PREFECT_SERVER_API_HOST": settings.host,
        "PREFECT_SERVER_API_PORT": str(settings.prefect_port),
        "DO_NOT_TRACK": "1",
    }
    if auth := settings.auth_string():
        given["PREFECT_SERVER_API_AUTH_STRING"] = auth
    return given
