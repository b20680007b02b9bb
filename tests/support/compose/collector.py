"""Inside of a container, in the place of an OTel collector: `collector.py FOLDER` takes OTLP by HTTP, and the lines of fluentd's protocol.

What came is a line in FOLDER: the path of a request in `otlp`, the container and what it printed in `lines`. Of fluentd's protocol that
which the engine's driver speaks: a message an entry, in MessagePack, without acknowledgement.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, BinaryIO

FOLDER = Path(sys.argv[1])
#: Of MessagePack: what begins with a byte, and in how many more its length stands; in none, it is in the byte itself.
SIZED = {
    **{0x80 | size: ("map", size, 0) for size in range(16)},
    **{0x90 | size: ("list", size, 0) for size in range(16)},
    **{0xA0 | size: ("text", size, 0) for size in range(32)},
    **dict(zip((0xD9, 0xDA, 0xDB), [("text", 0, more) for more in (1, 2, 4)], strict=True)),
    **dict(zip((0xDC, 0xDD, 0xDE, 0xDF), [("list", 0, 2), ("list", 0, 4), ("map", 0, 2), ("map", 0, 4)], strict=True)),
    # A time is an extension of eight bytes, after one that names the extension.
    0xD7: ("text", 9, 0),
}
#: Below it a byte is a number itself.
POSITIVE = 0x80
NUMBERS = {0xCC: "B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: "b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_LOCK = threading.Lock()


def note(name: str, line: str) -> None:
    with _LOCK, (FOLDER / name).open("a") as file:
        file.write(f"{line}\n")


def read(stream: BinaryIO) -> Any:
    """The next value.

    Raises:
        EOFError: there is none.
        KeyError: it is of a kind that the engine does not send.
    """
    kind = _bytes(stream, 1)[0]
    if kind < POSITIVE:
        return kind
    if kind in NUMBERS:
        return struct.unpack(NUMBERS[kind], _bytes(stream, struct.calcsize(NUMBERS[kind])))[0]
    if kind not in SIZED:
        return CONSTANTS[kind]
    what, size, more = SIZED[kind]
    size = int.from_bytes(_bytes(stream, more), "big") if more else size
    if what == "text":
        return _bytes(stream, size).decode(errors="replace")
    values = [read(stream) for _ in range(size if what == "list" else 2 * size)]
    return values if what == "list" else dict(zip(values[::2], values[1::2], strict=True))


def _bytes(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


class Lines(StreamRequestHandler):
    """A connection of the engine's: entries of tag, time, record and options."""

    def handle(self) -> None:
        try:
            while True:
                tag, _, record, *_ = read(self.rfile)
                note("lines", json.dumps({"tag": tag, **record}))
        except EOFError:
            return


class Otlp(BaseHTTPRequestHandler):
    """Takes what is sent, and notes where to."""

    def do_POST(self) -> None:
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        note("otlp", f"{self.path} {size}")
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Its own lines are of no use."""


if __name__ == "__main__":
    ThreadingTCPServer.allow_reuse_address = True
    everywhere = "0.0.0.0"  # noqa: S104  (the container's own networks)
    lines = ThreadingTCPServer((everywhere, 24224), Lines)
    threading.Thread(target=lines.serve_forever, daemon=True).start()
    ThreadingHTTPServer((everywhere, 4318), Otlp).serve_forever()
