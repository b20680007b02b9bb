"""The worker's side of the template process: starts it, asks it for children, and for another one when the code changed.

Danger: a template that met a module which starts threads cannot fork; it is started again without that module.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from redrive.blocks.errors import RedriveError
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import PACKET, decode, encode

#: Seconds a template may take to load everything; a busy machine with large libraries takes long.
START = 120.0
#: Native libraries that would start a thread for each core when imported: a template must stay single-threaded, and jobs run
#: side by side anyway. A value of one's own wins; a job may raise it by the library's own means.
SINGLE_THREADED = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class TemplateGone(RedriveError):  # noqa: N818  (named like what happened, as all errors here)
    """The template process ended."""


class TemplateProcess:
    """One generation of the code."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket, log: Log) -> None:
        self._process = process
        self._line = line
        self._log = log
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, modules: Sequence[str], log: Log) -> TemplateProcess:
        """Start one and wait until it has loaded the modules.

        Raises:
            TemplateGone: it ended instead.
        """
        wanted = list(modules)
        while True:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)  # noqa: FBT003  (the standard library's signature)
            process = subprocess.Popen(  # noqa: ASYNC220  (returns at once)
                [sys.executable, "-P", "-m", "redrive.infra.worker.template", str(theirs.fileno()), *wanted],
                pass_fds=[theirs.fileno()],
                env={**SINGLE_THREADED, **os.environ},
                stdin=subprocess.DEVNULL,
            )
            theirs.close()
            made = cls(process, ours, log)
            skipped = (await made._receive(START)).get("skipped", {})
            for name, why in skipped.items():
                log.warning("module %s is not loaded ahead: %s", name, why)
            threaded = [name for name, why in skipped.items() if "threads" in why]
            if not threaded:
                return made
            await made.end()
            wanted = [name for name in wanted if name not in threaded]

    async def fork(self) -> socket.socket:
        """A new child; the worker's end of the line to it.

        Raises:
            TemplateGone: it ended.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)  # noqa: FBT003  (the standard library's signature)
        try:
            socket.send_fds(self._line, [encode({"kind": "fork"})], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise TemplateGone from error
        finally:
            theirs.close()
        return ours

    async def changed(self) -> bool:
        """Whether the code on disk is another by now than what it loaded."""
        async with self._turn:
            try:
                self._line.send(encode({"kind": "look"}))
            except OSError as error:
                raise TemplateGone from error
            return bool((await self._receive(START))["changed"])

    async def end(self) -> None:
        """End it; its children are not its own and live on."""
        self._line.close()
        try:
            await asyncio.to_thread(self._process.wait, 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def _receive(self, seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                packet = await asyncio.get_running_loop().sock_recv(self._line, PACKET)
        except (OSError, TimeoutError) as error:
            raise TemplateGone from error
        if not packet:
            raise TemplateGone(
                f"the template process ended with exit code {self._process.poll()}: see the worker's output"
            )
        return decode(packet)
