"""The HTTP side: `/metrics` for Prometheus, `/health` for whoever watches the process. It reads the snapshot and nothing else."""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from redrive.blocks.core.errors import RedriveError
from redrive.dashboards.exporter.exposition import STALE, gauges, is_up, totals
from redrive.dashboards.exporter.snapshot import Snapshot

#: Seconds a client may take to send its request: one that says nothing must not keep a thread.
PATIENCE = 10.0

Read = Callable[[], Snapshot]


class _Collected(Collector):
    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


class MetricsPage:
    """The text of `/metrics`. Totals are most of it and are written again only when one of them changed."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._totals = b""

    def text(self, now: Snapshot) -> bytes:
        queues = tuple(one.queue for one in now.depths)
        of = (now.counts, now.kinds, now.ledger_read is None, queues, now.audit)
        # Mostly the same objects, which compare at once: a snapshot takes over from the one before what did not change.
        if self._of != of:
            self._totals, self._of = _written(totals(now)), of
        return self._totals + _written(gauges(now, time.monotonic(), datetime.now(UTC)))


def _written(found: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(found))
    return generate_latest(registry)


class MetricsServer(ThreadingHTTPServer):
    """Listens as soon as it is made.

    Raises:
        RedriveError: the port is taken.
        ssl.SSLError: the certificate and its key do not fit.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, host: str, port: int, read: Read, certificate: tuple[Path, Path] | tuple[None, None] = (None, None)
    ) -> None:
        self.read = read
        self.page = MetricsPage()
        #: What is told besides the snapshot.
        self.registry = CollectorRegistry()
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise RedriveError(
                f"the exporter cannot listen on {host}:{port} ({error.strerror}): set REDRIVE_METRICS_PORT to a free port"
            ) from error
        file, key = certificate
        if file:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(file, key)
            # Greeted by the thread of the request, so that a client that is silent holds up nobody else.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody who hangs up, or speaks no TLS, is no fault of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = PATIENCE

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                answer = self.server.page.text(self.server.read()) + generate_latest(self.server.registry)
                self._answer(HTTPStatus.OK, answer, CONTENT_TYPE_PLAIN_0_0_4)
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
    why = "; ".join(f"cannot {duty}: {detail}" for duty, detail in now.failing.items())
    return HTTPStatus.SERVICE_UNAVAILABLE, f"{why or f'no fresh figures in the last {STALE:g} s'}\n".encode()
