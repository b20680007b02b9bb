"""What runs in a job's container: a child as in the warm pool, whose line to the worker is standard input and output.

Danger: only messages may go to the line. What a job prints goes to standard error, which the worker passes on.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, BinaryIO

from redrive.infra.worker.messages import Channel, decode, encode


class PipeChannel(Channel):
    """A channel over two pipes."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._turn = threading.RLock()
        self._reading = reading
        self._writing = writing

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the other side is gone."""
        line = self._reading.readline()
        return decode(line) if line.endswith(b"\n") else None

    def send(self, message: Any) -> None:
        """Raises `OSError` if the other side is gone."""
        with self._turn:
            self._writing.write(encode(message))
            self._writing.flush()


def main() -> None:
    """Take the environment, then orders."""
    reading, writing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    first = reading.readline()
    if not first:
        sys.exit("the worker is gone")
    os.environ.update(decode(first)["environment"])
    # Prefect's settings are read when it is imported: only now.
    from redrive.infra.worker.child.child import Child  # noqa: PLC0415  (as said)

    Child(PipeChannel(reading, writing)).serve()


if __name__ == "__main__":
    main()
