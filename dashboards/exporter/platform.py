"""What jobs run on: whether Prefect, PostgreSQL and Redis answer, how fast, and what they hold; looked at in the background.

Danger: a part that is unavailable must cost its own figures only, never those of the queues; so this has a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import httpx
import psycopg
import redis
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import make_url

from redrive.blocks.core.patience import patient
from redrive.blocks.core.settings import Settings
from redrive.blocks.core.timely_postgres import TimelyConnection
from redrive.blocks.prefect.requests.server import ready

#: Seconds between polls: sizes change slowly, and asking for them reads a directory for each database.
EVERY = 15.0
#: Seconds a part may take to answer before it counts as down.
PATIENCE = 5

_DATABASES = """
SELECT datname, pg_database_size(datname), xact_commit + xact_rollback FROM pg_stat_database WHERE datname = ANY(%s)
"""
#: Another account's connections show no state, unless one may read all statistics.
_CONNECTIONS = """
SELECT coalesce(state, 'hidden'), count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1
"""


@dataclass(frozen=True)
class Sample:
    """What one part answered: seconds it took (None: it did not), and its figures."""

    seconds: float | None = None
    figures: tuple[Metric, ...] = ()


class Platform(Collector):
    """Keeps a sample of each part fresh; a scrape reads them and asks nobody."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts: dict[str, Callable[[], tuple[Metric, ...]]] = {
            "prefect": self._prefect,
            "postgres": self._postgres,
            "redis": self._redis,
        }
        self._samples: dict[str, Sample] = {}
        self._build = _build(settings)

    def run(self, stop: threading.Event) -> None:
        """Look at every part when its time has come, until `stop` is set."""
        while not stop.is_set():
            self.sample()
            stop.wait(EVERY)

    def sample(self) -> None:
        """Look at every part once."""
        for part, ask in self._parts.items():
            began = time.monotonic()
            try:
                figures = ask()
            except (httpx.HTTPError, psycopg.Error, redis.RedisError, OSError):
                # That it does not answer is the figure; why, the exporter's other looks and `redrive status` say.
                self._samples[part] = Sample()
            else:
                self._samples[part] = Sample(time.monotonic() - began, figures)

    def collect(self) -> Iterator[Metric]:
        """The figures of the latest looks; nothing of a part that was not looked at yet."""
        samples = dict(self._samples)
        yield self._build
        up = GaugeMetricFamily("redrive_platform_up", "1 if the part answers.", labels=["part"])
        answer = GaugeMetricFamily(
            "redrive_platform_answer_seconds", "Seconds the part took to answer.", labels=["part"]
        )
        for part, look in samples.items():
            up.add_metric([part], float(look.seconds is not None))
            if look.seconds is not None:
                answer.add_metric([part], look.seconds)
        yield from (up, answer)
        for look in samples.values():
            yield from look.figures

    def _prefect(self) -> tuple[Metric, ...]:
        address = self._settings.api_url
        # A proxy of the environment is not asked for a server on this machine, nor its certificates read.
        with httpx.Client(
            trust_env=self._settings.external_api_url is not None,
            verify=address.startswith("https:"),
            timeout=PATIENCE,
        ) as client:
            # `ready` needs no password, and reaches the server's database.
            client.get(f"{address}{ready().path}").raise_for_status()
        return ()

    def _postgres(self) -> tuple[Metric, ...]:
        url = make_url(self._settings.ledger_url()).set(drivername="postgresql")
        names = [f"{url.database}{suffix}" for suffix in ("", "_prefect", "_warehouse")]
        with (
            patient(PATIENCE),
            TimelyConnection.connect(
                url.render_as_string(hide_password=False), autocommit=True, connect_timeout=PATIENCE
            ) as connection,
        ):
            connection.execute(f"SET statement_timeout = '{PATIENCE}s'")
            databases = connection.execute(_DATABASES, [names]).fetchall()
            states = connection.execute(_CONNECTIONS).fetchall()
            (limit,) = connection.execute("SELECT current_setting('max_connections')::int").fetchone() or (0,)
        size = GaugeMetricFamily("redrive_postgres_size_bytes", "Size of a database of ours.", labels=["database"])
        done = CounterMetricFamily(
            "redrive_postgres_transactions", "Transactions of a database of ours.", labels=["database"]
        )
        for database, held, transactions in databases:
            size.add_metric([database], held)
            done.add_metric([database], transactions)
        connections = GaugeMetricFamily(
            "redrive_postgres_connections", "Connections to the server by what they do.", labels=["state"]
        )
        for state, count in states:
            connections.add_metric([state], count)
        most = GaugeMetricFamily("redrive_postgres_connections_limit", "Connections the server takes.", value=limit)
        return size, done, connections, most

    def _redis(self) -> tuple[Metric, ...]:
        with redis.Redis.from_url(
            self._settings.valkey_url(), socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
        ) as client:
            reply = client.info()
        memory = GaugeMetricFamily("redrive_redis_memory_bytes", "Memory Redis holds.", value=reply["used_memory"])
        clients = GaugeMetricFamily("redrive_redis_clients", "Connections to Redis.", value=reply["connected_clients"])
        return memory, clients


def _build(settings: Settings) -> Metric:
    """Which Redrive this is, and where people find Prefect's UI: dashboards mark its start and link there."""
    installed = "unknown"
    with suppress(PackageNotFoundError):
        installed = version("redrive")
    family = GaugeMetricFamily("redrive_build_info", "1; its labels say more.", labels=["version", "prefect_ui"])
    family.add_metric([installed, _without_password(settings.ui_url)], 1)
    return family


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
