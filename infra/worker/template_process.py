"""The worker's side of base and templates: asks the base for a template, and that for children.

Danger: a template that met a module which starts threads cannot fork; another one is made without that module.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from redrive.blocks.core.errors import RedriveError
from redrive.infra.worker.child.code import Code
from redrive.infra.worker.child.template import serve_base
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import PACKET, decode, encode

#: Seconds a template may take to load everything; a busy machine with large libraries takes long.
START = 120.0
#: Seconds one gets to end by itself.
END = 5.0
#: Native libraries that would start a thread for each core when imported: a template must stay single-threaded, and jobs run
#: side by side anyway. A value of one's own wins; a job may raise it by the library's own means.
SINGLE_THREADED = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class TemplateGone(RedriveError):  # noqa: N818  (named like what happened, as all errors here)
    """The template process ended."""


class _Served:
    """A process that takes requests over a socket, one packet each."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self._connection = connection
        self._turn = asyncio.Lock()

    async def changed(self) -> bool:
        """Whether the code on disk is another by now than what it loaded.

        Raises:
            TemplateGone: it ended.
        """
        async with self._turn:
            self._send({"kind": "poll"})
            return bool((await self._receive(START))["changed"])

    async def end(self) -> None:
        """End it; what it forked is not its own child and lives on."""
        self._connection.close()
        await asyncio.to_thread(_reap, self.pid)

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._connection, [encode(message)], descriptors)
        except OSError as error:
            raise TemplateGone from error

    async def _receive(self, seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                packet = await asyncio.get_running_loop().sock_recv(self._connection, PACKET)
        except (OSError, TimeoutError) as error:
            raise TemplateGone from error
        if not packet:
            raise TemplateGone("the template process ended: see the worker's output")
        return decode(packet)


class BaseProcess(_Served):
    """The process that has Prefect loaded."""

    @classmethod
    def start(cls) -> BaseProcess:
        """Start one. It answers once it has loaded Prefect."""
        ours, theirs = _pair(socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "redrive.infra.worker.child.template", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**SINGLE_THREADED, **os.environ},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        return cls(process.pid, ours)

    @classmethod
    def forked(cls, code: Code) -> BaseProcess:
        """Fork one from this process, which has loaded Prefect and this code of the project, and has a single thread."""
        ours, theirs = _pair(socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid:
            theirs.close()
            return cls(pid, ours)
        try:
            ours.close()
            theirs.setblocking(True)  # noqa: FBT003  (as above)
            serve_base(theirs, code)
        finally:
            # Whatever it is, this process must not go on as a second worker.
            os._exit(70)

    async def template(self, modules: Sequence[str], log: Log) -> TemplateProcess:
        """A template that has loaded these modules, without those that cannot be loaded ahead.

        Raises:
            TemplateGone: it ended instead, or this base did.
        """
        wanted = list(modules)
        while True:
            ours, theirs = _pair(socket.SOCK_SEQPACKET)
            try:
                self._send({"kind": "template", "modules": wanted}, [theirs.fileno()])
            finally:
                theirs.close()
            made = TemplateProcess(0, ours)
            skipped = await made.ready()
            for name, why in skipped.items():
                log.warning("module %s is not loaded ahead: %s", name, why)
            threaded = [name for name, why in skipped.items() if "threads" in why]
            if not threaded:
                if made.installed:
                    self._send({"kind": "load", "modules": made.installed})
                return made
            await made.end()
            wanted = [name for name in wanted if name not in threaded]


class TemplateProcess(_Served):
    """One generation of the jobs' code."""

    #: Installed packages that its modules loaded and its base had not.
    installed: Sequence[str] = ()

    async def ready(self) -> dict[str, str]:
        """Wait until it has loaded its modules: those it left out, with the reasons."""
        answer = await self._receive(START)
        self.pid = int(answer["pid"])
        self.installed = answer["installed"]
        skipped: dict[str, str] = answer["skipped"]
        return skipped

    async def fork(self) -> socket.socket:
        """A new child; the worker's end of the line to it.

        Raises:
            TemplateGone: it ended.
        """
        ours, theirs = _pair(socket.SOCK_STREAM)
        try:
            self._send({"kind": "fork"}, [theirs.fileno()])
        except TemplateGone:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours


def _pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)  # noqa: FBT003  (the standard library's signature)
    return ours, theirs


def _reap(pid: int) -> None:
    """Wait for a child of ours that is about to end, and end it if it does not."""
    if not pid:
        return
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([watched], [], [], END)[0]:
            signal.pidfd_send_signal(watched, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        # Reaped by whoever looks for orphans.
        return
    finally:
        os.close(watched)
