"""The worker's side of one child: its line, its process, and how it ended.

Danger: a process id says nothing once the process was reaped. The pidfd stays with the one process it was opened for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any, Self

from prefect.logging.handlers import emit_api_log

from redrive.infra.worker.job_process import ChildGone, JobProcess, ProcessEnd
from redrive.infra.worker.linux import descendants_of, memory_of
from redrive.infra.worker.messages import decode, encode
from redrive.infra.worker.oom_kills import OomKills, OomWatch

#: Seconds from the fork to the first word; a machine under load is slow.
HELLO = 60.0
#: Seconds from the end of the line to that of the process. A job may close every file there is, the line among them.
GOODBYE = 2.0
#: Bytes of one message.
LINE = 64 * 1024 * 1024

_oom_watch = OomWatch()


class ChildProcess(JobProcess):
    """One child, from its fork to its end."""

    def __init__(self, pid: int, pidfd: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._reader = reader
        self._writer = writer
        self._oom_before = OomKills.now()
        self._listener: Callable[[dict[str, Any]], None] = lambda _: None
        self.ended: asyncio.Future[ProcessEnd] = asyncio.get_running_loop().create_future()
        self.runs = 0
        self.cut_off: str | None = None
        asyncio.get_running_loop().add_reader(pidfd, self._reap)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def born(cls, line: socket.socket) -> Self:
        """The child at the other end of a line, once it has said its process id.

        Raises:
            ChildGone: it ended before that.
        """
        reader, writer = await asyncio.open_unix_connection(sock=line, limit=LINE)
        try:
            async with asyncio.timeout(HELLO):
                hello = await reader.readline()
            pid = int(decode(hello)["pid"])
            return cls(pid, os.pidfd_open(pid), reader, writer)
        except (TimeoutError, ValueError, OSError) as error:
            writer.close()
            raise ChildGone from error

    @property
    def has_ended(self) -> bool:
        """Asked of the kernel: the event loop may not have come to it yet."""
        return self.ended.done() or bool(select.select([self._pidfd], [], [], 0)[0])

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        self._listener = listener
        self._oom_before = OomKills.now()

    async def send(self, message: Any) -> None:
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except OSError as error:
            raise ChildGone from error

    def ping(self) -> None:
        """Have it read one message that says nothing. A line that its job closed ends for us only when that reading does."""
        with contextlib.suppress(OSError):
            self._writer.write(encode({"kind": "ping"}))

    def terminate(self) -> None:
        """SIGTERM for the job; what it started is told only if it has to be killed."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL for the process, its group, and what left the group."""
        below = descendants_of(self.pid) if not self.ended.done() else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._signal(signal.SIGKILL)
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def memory(self) -> int:
        """Bytes it and what it started have to themselves."""
        return sum(memory_of(pid) for pid in (self.pid, *descendants_of(self.pid)))

    async def retire(self) -> None:
        """End an idle child: it sends what it still has to say first."""
        try:
            await self.send({"kind": "end"})
        except ChildGone:
            # Which is what was wanted.
            return

    def _signal(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except (ProcessLookupError, OSError):
            # Ended in this moment.
            return

    def _reap(self) -> None:
        """The kernel says that it ended; it is our own child, as the template forked twice and we adopt orphans."""
        try:
            found, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            found, status = self.pid, 0
        if not found:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if not self.ended.done():
            self.ended.set_result(_end(status, oom_before=self._oom_before))
        self._writer.close()

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                message = decode(line)
                if message["kind"] == "log":
                    emit_api_log(message["line"])
                else:
                    self._listener(message)
        except (OSError, ValueError):
            # Broken, or somebody else wrote on it: nothing on it can be trusted any more.
            pass
        await asyncio.wait({self.ended}, timeout=GOODBYE)
        if not self.ended.done():
            self.cut_off = "its process closed the line to the worker, so it was killed"
            self.kill()


def _end(status: int, *, oom_before: OomKills) -> ProcessEnd:
    """From a wait status and the kernel's count of out-of-memory kills before its job."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return ProcessEnd(
            signal=number, out_of_memory=_oom_watch.explains(oom_before) if number == signal.SIGKILL else None
        )
    return ProcessEnd(code=os.WEXITSTATUS(status))
