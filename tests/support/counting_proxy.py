"""A proxy before an API that counts what passes: how many calls a client makes. It can lose answers, and put the clock back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

#: What belongs to one connection and is not passed on.
OWN = {"connection", "content-length", "content-encoding", "transfer-encoding", "host", "keep-alive", "accept-encoding"}


class CountingProxy:
    """Passes calls on to `target`; `log` and `calls` tell which came, as the server's own log of accesses would.

    `losing` says of how many more calls to a path (by its end) the answer is lost: the server has acted by then.
    """

    def __init__(self, target: str) -> None:
        self.client = httpx.Client(base_url=target, trust_env=False, timeout=300)
        #: When each call came, by the monotonic clock, and its path.
        self.log: list[tuple[float, str]] = []
        self.losing: dict[str, int] = {}
        #: Seconds that each answer is late.
        self.late = 0.0
        #: How far the server's clock is ahead by its answers, until that to a path with this end: there it was put back.
        self.ahead = timedelta(0)
        self.put_back_at = ""
        self.url = ""
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """How many so far."""
        return len(self.log)

    def passed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        with self._lock:
            self.log.append((time.monotonic(), path))
        kept = {name: value for name, value in headers.items() if name.lower() not in OWN}
        return self.client.request(method, path, headers=kept, content=body)

    def date(self, path: str, date: str) -> str:
        """What an answer says of the server's time."""
        if self.put_back_at and path.endswith(self.put_back_at):
            self.ahead = timedelta(0)
        return format_datetime(parsedate_to_datetime(date) + self.ahead, usegmt=True)

    def loses(self, path: str) -> bool:
        with self._lock:
            for end, left in self.losing.items():
                if path.endswith(end) and left > 0:
                    self.losing[end] = left - 1
                    return True
        return False


@contextmanager
def counting(target: str) -> Iterator[CountingProxy]:
    """A running proxy before the server at `target` (without a path)."""
    proxy = CountingProxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes: without this, the second waits 40 ms for the other side's acknowledgement.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            threading.Event().wait(proxy.late)
            answer = proxy.passed(self.command, self.path, dict(self.headers), body)
            if proxy.loses(self.path):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in OWN:
                    self.send_header(name, proxy.date(self.path, value) if name.lower() == "date" else value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PATCH = do_POST  # noqa: N815  (the standard library's names)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        proxy.client.close()
