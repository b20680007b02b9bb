"""A real HTTP server that answers a sync's questions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Where the tests' HTTP sources are, as REDRIVE_PRIVATE_HOSTS wants it.
PRIVATE_HOSTS = "127.0.0.1"


@dataclass(frozen=True)
class Reply:
    """One answer; `write` writes the body piece by piece instead of `content`; `date` is the server's time, if not the real one."""

    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[Callable[[bytes], object]], None] | None = None
    date: str | None = None


@contextmanager
def answering(status: int, content: bytes, mime: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Address of a server that answers every GET with this."""
    page = Reply(content, status, {"Content-Type": mime, **(headers or {})})
    with serving(lambda _path, _headers: page) as url:
        yield f"{url}/data"


@contextmanager
def serving(answer: Callable[[str, Mapping[str, str]], Reply], *, host: str = "127.0.0.1") -> Iterator[str]:
    """Address of a server that answers a path, given the request's headers, as the function says."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = answer(self.path, self.headers)
            self.send_response_only(page.status)
            self.send_header("Date", page.date or self.date_time_string())
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                if page.write:
                    page.write(self.wfile.write)
                else:
                    self.wfile.write(page.content)
            except ConnectionError:
                pass  # the client has had enough, which is what some tests want

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
