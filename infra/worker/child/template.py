"""The base and its templates: `python -m redrive.infra.worker.child.template FD`.

The base loads Prefect once. For each generation of the jobs' code it forks a template, which loads the job modules and forks the
children. A child then costs a fork, and an edit costs what the project's own modules take, not the two seconds of Prefect.

Forked twice, so that templates and children belong to the worker, which adopts orphans: it sees at once how each of them ended.

Danger: only a process with a single thread may be forked. Nothing here starts a client, an event loop or Prefect's logging
service; a module that starts threads when imported is left to the children.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn

from redrive.blocks.core.heap import freeze_loaded
from redrive.blocks.tracing.switch import is_on
from redrive.infra.worker.child.child import Child
from redrive.infra.worker.child.code import Code, installed_modules
from redrive.infra.worker.linux import job_nice, lower_priority, set_name, threads_of
from redrive.infra.worker.messages import PACKET, Channel, decode, encode

#: What a child needs of Prefect, and what Prefect loads only with the first job: that would cost each child a tenth of a second.
PREFECT = (
    "prefect.flow_engine",
    "prefect.engine",
    "prefect.results",
    "prefect.artifacts",
    "anyio._backends._asyncio",
    "encodings.idna",
    "redrive.stored_json",
)
#: And of what traces it.
TRACING = (
    "redrive.blocks.tracing.sdk.instruments",
    "opentelemetry.instrumentation.httpx",
    "opentelemetry.instrumentation.psycopg",
    "opentelemetry.instrumentation.redis",
)


def needed() -> tuple[str, ...]:
    """What a child needs from the start."""
    return (*PREFECT, *TRACING) if is_on() else PREFECT


def main(arguments: list[str]) -> NoReturn:
    """Serve the worker at the other end of the file descriptor until it is gone."""
    since = time.time_ns()
    preload(needed())
    serve_base(socket.socket(fileno=int(arguments[0])), Code.loaded(since))


def serve_base(worker: socket.socket, code: Code) -> NoReturn:
    """Fork templates for the worker at the other end; Prefect is loaded, and this code of the project."""
    set_name("warm-base")
    freeze_loaded()
    while True:
        packet, descriptors, _, _ = socket.recv_fds(worker, PACKET, 1)
        if not packet:
            os._exit(0)
        message = decode(packet)
        match message["kind"]:
            case "template":
                modules = message["modules"]
                _fork(worker, descriptors[0], lambda line, modules=modules: serve_template(line, modules))  # type: ignore[misc]  # mypy: defaults in lambdas
            case "load":
                # Once loaded here, the next generation of the code need not load it.
                preload(message["modules"])
                if threads_of(os.getpid()) > 1:
                    # Nothing can be forked from here any more; the worker starts another base.
                    os._exit(0)
                freeze_loaded()
            case "poll":
                worker.send(encode({"kind": "code", "changed": code.changed()}))


def serve_template(worker: socket.socket, modules: Iterable[str]) -> NoReturn:
    """Load one generation of the jobs' code and fork children with it."""
    set_name("warm-template")
    known = installed_modules()
    since = time.time_ns()
    # What is written now would hide another edit in the same second.
    sys.dont_write_bytecode, writes = True, sys.dont_write_bytecode
    importlib.invalidate_caches()
    skipped = preload(modules)
    sys.dont_write_bytecode = writes
    freeze_loaded()
    code = Code.loaded(since)
    installed = sorted(installed_modules() - known)
    worker.send(encode({"kind": "ready", "pid": os.getpid(), "skipped": skipped, "installed": installed}))
    while True:
        packet, descriptors, _, _ = socket.recv_fds(worker, PACKET, 1)
        if not packet:
            os._exit(0)
        match decode(packet)["kind"]:
            case "fork":
                _fork(worker, descriptors[0], lambda line: Child(Channel(line)).serve())
            case "poll":
                worker.send(encode({"kind": "code", "changed": code.changed()}))


def preload(modules: Iterable[str]) -> dict[str, str]:
    """Import modules; those that cannot be, or that start threads, with the reason why they are left to the children."""
    skipped: dict[str, str] = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  (a module may raise anything, and its first job will say so properly)
            skipped[name] = "".join(traceback.format_exception_only(error)).strip()
        if threads_of(os.getpid()) > 1:
            # Nothing can be forked from here any more: the worker starts another template without it.
            skipped[name] = "it starts threads when imported"
            break
    return skipped


def _fork(worker: socket.socket, connection: int, serve: Callable[[socket.socket], NoReturn]) -> None:
    """Fork a process that talks to the worker over the socket with that file descriptor."""
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
        lower_priority(job_nice())
        worker.close()
        serve(socket.socket(fileno=connection))
    except BaseException:  # noqa: BLE001  (whatever it is, this process must not go on as a second template)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(70)


if __name__ == "__main__":
    main(sys.argv[1:])
