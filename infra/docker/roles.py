"""The roles a container of ours can have: which program each is, with which settings of Prefect, and how one knows that it works.

What a role's `defaults` say, the container's environment overrides.
"""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redrive.blocks.core.pool_names import OPS, POOL

#: Where a worker says that it polls, `PREFECT_WORKER_WEBSERVER_PORT`.
WORKER_PORT = "8080"

Program = Callable[[Mapping[str, str]], tuple[list[str], dict[str, str]]]


@dataclass(frozen=True)
class Role:
    """One role. `program` gives its arguments and what its environment must have; `asks` is an address that answers when it works,
    or `keeper`, whose duties tell; None where only its process does.
    """

    program: Program
    asks: str | None = None
    defaults: dict[str, str] = field(default_factory=dict)


def _module(*words: str) -> Program:
    return lambda _: ([sys.executable, "-P", "-m", *words], {})


def _server(*words: str) -> Program:
    return lambda environ: ([sys.executable, "-P", "-m", "redrive.infra.server", *words], _of_server(environ))


def _services(environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-P", "-m", "prefect", "server", "services", "start"], _of_server(environ)


def _of_server(environ: Mapping[str, str]) -> dict[str, str]:
    """Its database from ours, its password from the clients', its broker from our Redis."""
    from redrive.blocks.core.settings import Settings  # noqa: PLC0415  (an unknown setting is said by the program itself)

    here = Settings.load(environ)
    given = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": here.prefect_database_url(),
        "PREFECT_SERVER_API_HOST": here.host,
        "PREFECT_SERVER_API_PORT": str(here.prefect_port),
    }
    if auth := environ.get("PREFECT_API_AUTH_STRING"):
        given["PREFECT_SERVER_API_AUTH_STRING"] = auth
    if here.redis_url:
        url = here.redis_url.get_secret_value()
        given |= {"PREFECT_REDIS_MESSAGING_URL": url, "PREFECT_SERVER_DOCKET_URL": url, **SCALED}
    return {name: value for name, value in given.items() if not environ.get(name)}


def _worker(pool: str, kind: str) -> Program:
    def program(environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        # A name of its own at each start: a run that carries an old one is known to have lost its worker.
        name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        slots = environ.get("REDRIVE_SLOTS") or "4"
        words = ["--pool", pool, "--type", kind, "--limit", slots, "--name", name, "--with-healthcheck"]
        return [sys.executable, "-P", "-m", "prefect", "worker", "start", *words], {}

    return program


def _kubernetes_worker(environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Its name stays: the pods that one made are the next one's, and outlive both."""
    slots = environ.get("REDRIVE_SLOTS") or "50"
    words = ["--pool", POOL, "--type", "kubernetes", "--limit", slots, "--name", "isolated", "--with-healthcheck"]
    return [sys.executable, "-P", "-m", "prefect", "worker", "start", *words], {}


#: What several servers share through Redis. Names as in Prefect 3.8.8 and prefect-redis 0.3.
SCALED = {
    "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
    "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
}

#: What infra/README.md explains of the local server holds for this one too.
_SERVER = {
    # Both are the job's that migrates: of two servers that start together, one would fail.
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
    # Above this a connection is closed after each use, and a new one costs the server and the database ten queries. Prefect's 5 are
    # fewer than its services, the worker, the keeper and the exporter need at once.
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "10",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_METRICS_ENABLED": "true",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Its files are copied there with the address filled in; nothing else may be written.
    "PREFECT_UI_STATIC_DIRECTORY": "/tmp/prefect-ui",  # noqa: S108  (the container's own)
}
_WORKER = {
    "PREFECT_WORKER_QUERY_SECONDS": "5",
    "PREFECT_WORKER_PREFETCH_SECONDS": "0",
    "PREFECT_WORKER_HEARTBEAT_SECONDS": "20",
    "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
    "PREFECT_WORKER_WEBSERVER_PORT": WORKER_PORT,
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
    "PREFECT_RESULTS_LOCAL_STORAGE_PATH": "/var/lib/redrive/results",
    "REDRIVE_RESULTS_SHARED": "1",
}
_SERVICE = {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "WARNING"}

ROLES = {
    # One of several API servers; and the only one, which runs the services itself.
    "server": Role(_server("--no-services"), "http://127.0.0.1:{prefect_port}/api/ready", _SERVER),
    "server-alone": Role(_server(), "http://127.0.0.1:{prefect_port}/api/ready", _SERVER),
    "services": Role(_services, None, _SERVER),
    "migrate": Role(_module("redrive.infra.docker.migrate"), None, _SERVER),
    "register": Role(_module("redrive.infra.docker.register"), None, _SERVICE),
    "worker": Role(_worker(POOL, "warm"), f"http://127.0.0.1:{WORKER_PORT}/health", _WORKER),
    # In the place of warm workers: each job in a pod of its own.
    "kubernetes-worker": Role(_kubernetes_worker, f"http://127.0.0.1:{WORKER_PORT}/health", _WORKER),
    "ops-worker": Role(_worker(OPS, "process"), f"http://127.0.0.1:{WORKER_PORT}/health", _WORKER),
    "keeper": Role(_module("redrive.infra.keeper.service"), "keeper", _SERVICE),
    "exporter": Role(_module("redrive.dashboards.exporter"), "http://127.0.0.1:{metrics_port}/health"),
    "console": Role(_module("redrive.dashboards.console"), "http://127.0.0.1:{console_port}/alive"),
}
