"""Reads what `production.py` judges: settings of the server, clocks, workers, streams, automations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psycopg
import redis

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import Settings, settings
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import automations, deployments, queues, server, workers
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.process.container_engine import Engine
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports
from redrive.deployments.catalog import catalog
from redrive.deployments.health import production
from redrive.deployments.queues import list_queues

#: Seconds the databases' server may take to tell its time.
PATIENCE = 5

Point = tuple[str, Callable[[], str]]


def of_this_installation(here: Settings) -> list[Point]:
    """What is asked of this installation beside what every one is asked."""
    found: list[Point] = []
    if any(job.isolation == "container" for job in catalog().values()):
        found.append(("containers", _containers))
    if here.external_api_url or here.database_url:
        found += [
            ("API servers", _shared_state),
            ("passwords", _passwords),
            ("retention", _retention),
            ("clocks", _clocks),
            ("versions", _versions),
            ("queues", _queues),
            ("lease", _lease),
            ("results", _results),
            ("automations", _automations),
            ("backups", lambda: production.backups(settings().backups, datetime.now(UTC))),
        ]
        if here.redis_url:
            found.append(("streams", _streams))
    return found


def _shared_state() -> str:
    message = ask(server.settings())
    return production.shared_state(message, _hosts_of_prefect())


def _hosts_of_prefect() -> int:
    """How many hosts have sessions of Prefect's servers in its database; 1 where that is not known here."""
    if not settings().database_url:
        return 1
    url = settings().prefect_psycopg_url().replace("+psycopg:", ":", 1)
    # psql, pg_dump and their like give a name; Prefect's servers give none.
    asked = "SELECT count(DISTINCT client_addr) FROM pg_stat_activity WHERE datname = current_database() AND application_name = ''"
    try:
        with psycopg.connect(url, connect_timeout=PATIENCE, application_name="redrive check") as connection:
            found = connection.execute(asked).fetchone()
    except psycopg.Error as error:
        raise RedriveError(
            f"Prefect's database does not say who works with it: {' '.join(str(error).split())}"
        ) from None
    return max(1, int(found[0])) if found else 1


def _automations() -> str:
    found = ask(automations.all_of_them())
    return production.zombie_automations(found)


def _containers() -> str:
    engine = Engine()
    images = sorted({job.container.image for job in catalog().values() if job.container})
    return f"engine {engine.version()} answers; {', '.join(images)}"


def _passwords() -> str:
    here = settings()
    asks = ask(server.settings())["server"]["api"].get("auth_string")
    urls = [url.get_secret_value() for url in (here.database_url, here.warehouse_url, here.redis_url) if url]
    return production.passwords(here.auth_string() if asks else None, urls)


def _retention() -> str:
    pruning = ask(deployments.named("prune", "prune").or_none())
    active = bool(pruning) and any(one["active"] for one in (pruning or {}).get("schedules", ()))
    message = ask(server.settings())
    return production.retention(message, active and not (pruning or {}).get("paused"))


def _clocks() -> str:
    ask(server.health())
    ahead = {"Prefect's server": SERVER_CLOCK.ahead.total_seconds()}
    url = settings().ledger_url().replace("+psycopg:", ":", 1)
    try:
        with psycopg.connect(url, connect_timeout=PATIENCE) as connection:
            found = connection.execute("SELECT clock_timestamp()").fetchone()
    except psycopg.Error as error:
        raise RedriveError(f"the ledger's database does not tell its time: {' '.join(str(error).split())}") from None
    if found:
        ahead["the ledger's database"] = (found[0] - datetime.now(UTC)).total_seconds()
    if settings().redis_url:
        with _redis() as client:
            seconds, micros = client.time()
        ahead["Redis"] = seconds + micros / 1e6 - datetime.now(UTC).timestamp()
    return production.clocks(ahead)


def _versions() -> str:
    there = [one for pool in sorted({job.pool for job in catalog().values()}) for one in ask(deployments.of_pool(pool))]
    ours = [one for one in there if one["name"] in catalog()]
    return production.versions(
        here=version("prefect"), server=str(ask(server.version())), deployments=ours, redrive=version("redrive")
    )


def _queues() -> str:
    waiting = {queue.name: queue.waiting for queue in list_queues()}
    names = [str(queue["name"]) for queue in ask(queues.of_pool(POOL))]
    return production.served_queues(names, [report.queues for report in _reports()], waiting)


def _lease() -> str:
    found = ask(workers.of_pool(POOL, online=True))
    return production.lease(
        settings().retry_after, {one["name"]: float(one.get("heartbeat_interval_seconds") or 0) for one in found}
    )


def _results() -> str:
    shared = settings().results_shared
    block = os.environ.get("PREFECT_DEFAULT_RESULT_STORAGE_BLOCK") or ("in a shared folder" if shared else None)
    return production.results({report.host for report in _reports()}, block)


def _reports() -> list[WorkerReport]:
    reports = WorkerReports(settings().valkey_url())
    with closing(reports):
        try:
            return [one for one in reports.all() if one.pool == POOL]
        except redis.RedisError as error:
            raise RedriveError(f"Redis does not answer: {error}") from None


def _streams() -> str:
    with _redis() as client:
        return production.streams(
            {name.decode(): int(client.xlen(name)) for name in client.scan_iter(_type="stream", count=1000)}
        )


@contextmanager
def _redis() -> Iterator[Any]:
    client = redis.Redis.from_url(settings().valkey_url(), socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    with closing(client):
        try:
            yield client
        except redis.RedisError as error:
            raise RedriveError(f"Redis does not answer: {error}") from None
