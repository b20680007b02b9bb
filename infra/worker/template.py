"""The template process: `python -m redrive.infra.worker.template FD MODULE…`. It loads Prefect and the job modules once and forks children.

A child costs a fork then, not the two seconds that importing Prefect takes. Forked twice, so that children belong to the
worker, which adopts orphans: it sees at once how each of them ended.

Danger: only a process with a single thread may be forked. Nothing here starts a client, an event loop or Prefect's logging
service; a module that starts threads when imported is left to the children.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import traceback
from collections.abc import Iterable
from typing import NoReturn

from redrive.infra.worker.child import Child
from redrive.infra.worker.code import Code
from redrive.infra.worker.linux import set_name, threads_of
from redrive.infra.worker.messages import PACKET, Line, decode, encode


def main(arguments: list[str]) -> NoReturn:
    """Serve the worker at the other end of the file descriptor until it is gone."""
    set_name("warm-template")
    worker = socket.socket(fileno=int(arguments[0]))
    skipped = preload(arguments[1:])
    # What was loaded stays shared between the children as long as nobody touches it; the collector would.
    gc.collect()
    gc.freeze()
    code = Code.loaded()
    worker.send(encode({"kind": "ready", "skipped": skipped}))
    while True:
        packet, descriptors, _, _ = socket.recv_fds(worker, PACKET, 1)
        if not packet:
            os._exit(0)
        match decode(packet)["kind"]:
            case "fork":
                _fork(worker, descriptors[0])
            case "look":
                worker.send(encode({"kind": "code", "changed": code.changed()}))


def preload(modules: Iterable[str]) -> dict[str, str]:
    """Import modules; those that cannot be, or that start threads, with the reason why they are left to the children."""
    skipped: dict[str, str] = {}
    for name in ("prefect.flow_engine", "prefect.engine", "prefect.results", "prefect.artifacts", *modules):
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  (a module may raise anything, and its first job will say so properly)
            skipped[name] = "".join(traceback.format_exception_only(error)).strip()
        if threads_of(os.getpid()) > 1:
            # Nothing can be forked from here any more: the worker starts another template without it.
            skipped[name] = "it starts threads when imported"
            break
    return skipped


def _fork(worker: socket.socket, connection: int) -> None:
    """Fork a child that talks to the worker over the socket with that file descriptor."""
    middle = os.fork()
    if middle:
        os.close(connection)
        os.waitpid(middle, 0)
        return
    if os.fork():
        os._exit(0)
    try:
        # A session of its own: what stops a job stops all it started, and nothing else.
        os.setsid()
        worker.close()
        Child(Line(socket.socket(fileno=connection))).serve()
    except BaseException:  # noqa: BLE001  (whatever it is, this process must not go on as a second template)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(70)


if __name__ == "__main__":
    main(sys.argv[1:])
