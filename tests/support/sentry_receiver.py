"""A receiver of Sentry's events for tests: its envelope protocol, on a real socket."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli


@dataclass
class SentryReceiver:
    """What came: whole bodies, and the events in them."""

    dsn: str = ""
    bodies: list[bytes] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def of_job(self, run_id: object) -> list[dict[str, Any]]:
        return [one for one in list(self.events) if one.get("contexts", {}).get("job", {}).get("id") == str(run_id)]


@contextmanager
def receiving_events() -> Iterator[SentryReceiver]:
    """A receiver on a port of this machine."""
    receiver = SentryReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            match self.headers.get("Content-Encoding"):
                case "gzip":
                    body = gzip.decompress(body)
                case "br":
                    body = brotli.decompress(body)
            receiver.bodies.append(body)
            lines = body.split(b"\n")
            # After the envelope's own header: of each item a header, then what it holds.
            for header, item in zip(lines[1::2], lines[2::2], strict=False):
                if header and json.loads(header).get("type") == "event":
                    receiver.events.append(json.loads(item))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.dsn = f"http://public@127.0.0.1:{server.server_address[1]}/1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
