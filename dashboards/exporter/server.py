"""The HTTP side: `/metrics` for Prometheus, `/health` for whoever watches the process. It reads the snapshot and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from redrive.blocks.errors import RedriveError
from redrive.dashboards.exporter.exposition import STALE, families, is_up
from redrive.dashboards.exporter.snapshot import Snapshot

#: Seconds a client may take to send its request: one that says nothing must not keep a thread.
PATIENCE = 10.0

Read = Callable[[], Snapshot]


class _Figures(Collector):
    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return families(self._read(), time.monotonic(), datetime.now(UTC))


class MetricsServer(ThreadingHTTPServer):
    """Listens as soon as it is made.

    Raises:
        RedriveError: the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, read: Read) -> None:
        self.read = read
        self.registry = CollectorRegistry()
        self.registry.register(_Figures(read))
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise RedriveError(
                f"the exporter cannot listen on {host}:{port} ({error.strerror}): set REDRIVE_METRICS_PORT to a free port"
            ) from error


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = PATIENCE

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, generate_latest(self.server.registry), CONTENT_TYPE_PLAIN_0_0_4)
            case "/health":
                self._answer(*_health(self.server.read()))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b"there are /metrics and /health\n")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the standard library's name)
        """A line for every scrape would fill the log."""


def _health(now: Snapshot) -> tuple[HTTPStatus, bytes]:
    if is_up(now, time.monotonic()):
        return HTTPStatus.OK, b"ok\n"
    why = "; ".join(f"cannot {duty}: {said}" for duty, said in now.failing.items())
    return HTTPStatus.SERVICE_UNAVAILABLE, f"{why or f'no fresh figures in the last {STALE:g} s'}\n".encode()
