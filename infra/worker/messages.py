"""What worker, template and children say to each other: one JSON object a line over a Unix socket pair.

Danger: a message about a job carries its attempt; whoever reads one about another attempt than the present one drops it.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Literal, TypedDict

import orjson

from redrive.blocks.process.step_times import StepTimes

#: Bytes of the largest message between worker and template, which keeps the borders of messages (SOCK_SEQPACKET).
PACKET = 65536

#: Worker → child: run this; stop this one with that intent; it was suspended; a ping, to be read only; end when idle.
Intent = Literal["cancel", "reschedule"]


class Command(TypedDict):
    """Worker → child: one attempt of one flow run, or only its hooks, after another process died with it."""

    kind: Literal["run", "hooks"]
    attempt: int
    #: The flow run as the API gives it, in its Pending state.
    flow_run: dict[str, Any]
    #: `module.function` to skip the deployment's pull steps; None to load the flow as Prefect's own worker would.
    entrypoint: str | None
    #: Environment of the job, over the worker's own; None takes a name away.
    env: dict[str, str | None]
    working_dir: str | None
    #: End after this job, whatever it left.
    only_once: bool
    #: The Running state that the server gave it with its Pending state; None if the job itself has to propose one.
    running: dict[str, Any] | None
    #: The state whose hooks are to run; None with `run`.
    state: dict[str, Any] | None


class Done(TypedDict):
    """Child → worker: how an attempt ended.

    `status` is what the exit code of a process of its own would have been. `conclusion` tells whether the engine already
    brought the run where it belongs: `reported`, or `none` if the worker must; `postponed` if it was to wait for a time that the
    server's clock told before it was put back. `left` is what the job left behind, if that
    ends the child.
    """

    kind: Literal["done"]
    attempt: int
    status: int
    conclusion: Literal["reported", "aborted", "postponed", "none"]
    left: str | None
    #: Bytes the child has to itself, and had at most during this attempt.
    memory: int
    peak: int
    #: How long its steps took.
    steps: StepTimes


def encode(message: Any) -> bytes:
    """One line."""
    return orjson.dumps(message) + b"\n"


def decode(line: bytes | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


class Channel:
    """The blocking end of a socket pair, as template and children use it."""

    def __init__(self, connection: socket.socket) -> None:
        # Threads of a job log side by side; and a signal's handler may log while its own thread does.
        self._turn = threading.RLock()
        self._socket = connection
        self._file = connection.makefile("rb")

    def send(self, message: Any) -> None:
        """Raises `OSError` if the other side is gone."""
        with self._turn:
            self._socket.sendall(encode(message))

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the other side is gone."""
        try:
            line = self._file.readline()
        except OSError:
            return None
        return decode(line) if line.endswith(b"\n") else None
