"""The worker's side of one container, which does one job and is taken away.

Danger: its line and its end come from different places. The line may break with the engine while the container lives; how it ended is
asked of the engine, for as long as that takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from prefect.logging.handlers import emit_api_log

from redrive.blocks.process.container_engine import Engine, EngineUnavailable
from redrive.infra.worker.child_process import GOODBYE, HELLO
from redrive.infra.worker.job_process import ChildGone, JobProcess, ProcessEnd
from redrive.infra.worker.messages import decode, encode
from redrive.infra.worker.oom_kills import Whose

#: A frame of the engine's stream: the channel (1 for standard output, which is the line; 2 for standard error) and its length.
_HEADER = struct.Struct(">B3xI")
_LINE = 1
#: Of an init that found no program of that name.
_NOT_FOUND = 127
#: Above it an exit code says which signal, by the shells' convention.
_SIGNAL = 128


@dataclass(frozen=True, kw_only=True)
class ContainerEnd(ProcessEnd):
    """How a container ended; `limit` in megabytes."""

    limit: int | None = None

    def __str__(self) -> str:
        if self.out_of_memory:
            return f"it needed more than the {self.limit} MB of memory that are allowed, so its container was killed"
        if self.code is None:
            return "its container was removed by somebody else"
        if self.code > _SIGNAL:
            return f"its container was killed by signal {self.code - _SIGNAL}"
        if self.code == _NOT_FOUND:
            return f"its container exited with status code: {self.code}, as it does where its image has no python3 to run the job"
        return f"its container exited with status code: {self.code}"


class ContainerProcess(JobProcess):
    """One container, from its start to its end."""

    def __init__(self, engine: Engine, container: str, line: socket.socket, *, memory_limit: int | None) -> None:
        self.pid = 0
        self.runs = 0
        self.cut_off: str | None = None
        self._engine = engine
        self._container = container
        self._line = line
        self._memory_limit = memory_limit
        self._listener: Callable[[dict[str, Any]], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ProcessEnd] = self._loop.create_future()
        self._hello: asyncio.Future[None] = self._loop.create_future()
        #: What is said, in its order; in a thread, as the engine's line blocks.
        self._sending = ThreadPoolExecutor(1, thread_name_prefix=f"to {container[:12]}")
        self._frames, self._words = bytearray(), b""

    @classmethod
    async def started(
        cls, engine: Engine, container: str, environment: dict[str, str], *, memory_limit: int | None
    ) -> Self:
        """Start a container that was made, and wait until it takes orders.

        Args:
            environment: goes over the line, not into the container's settings: whoever may ask the engine would read the password there.

        Raises:
            ChildGone: it ended instead; the message says how.
            EngineUnavailable, CannotContain: the engine does not start it.
        """
        line = await asyncio.to_thread(engine.attach, container)
        made = cls(engine, container, line, memory_limit=memory_limit)
        try:
            await asyncio.to_thread(engine.start, container)
            threading.Thread(target=made._read, name=f"from {container[:12]}", daemon=True).start()
            await made.send({"kind": "environment", "environment": environment})
            async with asyncio.timeout(HELLO):
                await made._wait_for_hello()
            made.pid = await asyncio.to_thread(engine.pid, container)
        except TimeoutError:
            made.kill()
            raise ChildGone(f"the container did not take its job within {HELLO:g} s") from None
        except BaseException:
            made.kill()
            raise
        return made

    async def _wait_for_hello(self) -> None:
        either: set[asyncio.Future[Any]] = {self._hello, self.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.ended.done():
            raise ChildGone(f"the container ended before it took its job: {self.ended.result()}")

    @property
    def has_ended(self) -> bool:
        return self.ended.done()

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        self._listener = listener

    async def send(self, message: Any) -> None:
        try:
            await self._loop.run_in_executor(self._sending, self._line.sendall, encode(message))
        except (OSError, RuntimeError) as error:
            raise ChildGone from error

    def ping(self) -> None:
        """The engine holds the other end of its line, which breaks with the container."""

    def terminate(self) -> None:
        self._signal("SIGTERM")

    def kill(self) -> None:
        self._signal("SIGKILL")

    def memory(self) -> int:
        return 0

    async def retire(self) -> None:
        """End it and take it away."""
        with contextlib.suppress(ChildGone):
            await self.send({"kind": "end"})
        try:
            async with asyncio.timeout(HELLO):
                await asyncio.shield(self.ended)
        except TimeoutError:
            self.kill()
        await asyncio.to_thread(self._engine.remove, self._container)
        self._sending.shutdown(wait=False)

    def _signal(self, name: str) -> None:
        def deliver() -> None:
            # An engine that is unavailable is asked until it answers: a kill must not be forgotten.
            while not self.ended.done():
                try:
                    self._engine.signal(self._container, name)
                except EngineUnavailable:
                    threading.Event().wait(GOODBYE)
                else:
                    return

        threading.Thread(target=deliver, name=f"{name} {self._container[:12]}", daemon=True).start()

    # In a thread of its own: what the container says, then how it ended

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while header := self._exactly(_HEADER.size):
                channel, size = _HEADER.unpack(header)
                self._take(channel, self._exactly(size))
        self._line.close()
        # An engine that was restarted may have kept the container, without its line.
        late = threading.Timer(GOODBYE, lambda: self._post(self._is_cut_off))
        late.daemon = True
        late.start()
        found = self._engine.ended(self._container)
        late.cancel()
        whose: Whose | None = "ours" if found.out_of_memory else None
        ending = ContainerEnd(code=found.code, out_of_memory=whose, limit=self._memory_limit)
        self._post(self._end, ending)

    def _exactly(self, size: int) -> bytes:
        while len(self._frames) < size:
            if not (more := self._line.recv(65536)):
                return b""
            self._frames += more
        found = bytes(self._frames[:size])
        del self._frames[:size]
        return found

    def _take(self, channel: int, body: bytes) -> None:
        if channel != _LINE:
            os.write(sys.stderr.fileno(), body)
            return
        *lines, self._words = (self._words + body).split(b"\n")
        for line in lines:
            self._post(self._receive, decode(line))

    def _post(self, call: Callable[..., None], *values: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the worker's loop has ended
            self._loop.call_soon_threadsafe(call, *values)

    def _receive(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "hello":
                if not self._hello.done():
                    self._hello.set_result(None)
            case "log":
                emit_api_log(message["line"])
            case _:
                self._listener(message)

    def _is_cut_off(self) -> None:
        if not self.ended.done():
            self.cut_off = (
                "its line to the worker broke, as when the container engine is restarted, so its container was killed"
            )
            self.kill()

    def _end(self, ending: ProcessEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)
