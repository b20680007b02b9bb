"""What runs a job, as the worker deals with it: a warm child (`child_process.py`) or a container (`containers/`)."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redrive.blocks.core.errors import RedriveError
from redrive.infra.worker.oom_kills import Whose


class ChildGone(RedriveError):  # noqa: N818  (named like what happened, as all errors here)
    """The child ended."""


@dataclass(frozen=True, kw_only=True)
class ProcessEnd:
    """How a process ended: by an exit code, or by a signal; `out_of_memory` if the kernel killed it for that, or may have."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: Whose | None = None

    def __str__(self) -> str:
        if self.out_of_memory == "ours":
            return "its process was killed by the kernel, which had run out of memory"
        if self.out_of_memory == "machine":
            return "its process was killed by SIGKILL, while the kernel killed a process of this machine for want of memory"
        if self.signal is not None:
            return f"its process was killed by {_name(self.signal)}"
        return f"its process exited with status code: {self.code}"


class JobProcess(ABC):
    """One process or container from its start to its end. Orders go in by `say`, messages come to the listener of `hear`."""

    #: Its process id on this machine; 0 if it cannot be seen from here.
    pid: int
    #: Jobs it has done.
    runs: int
    #: Why it was killed, if its line to the worker broke.
    cut_off: str | None
    #: Done once it ended.
    ended: asyncio.Future[ProcessEnd]

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """Whether it has, as far as can be known at once."""

    @abstractmethod
    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Set who gets what it says from now on."""

    @abstractmethod
    async def send(self, message: Any) -> None:
        """Raises `ChildGone`."""

    @abstractmethod
    def ping(self) -> None:
        """Find out whether its line still holds."""

    @abstractmethod
    def terminate(self) -> None:
        """Tell it to leave."""

    @abstractmethod
    def kill(self) -> None:
        """End it and all that it started."""

    @abstractmethod
    def memory(self) -> int:
        """Bytes it has to itself; 0 where somebody else holds it to its limit."""

    @abstractmethod
    async def retire(self) -> None:
        """End an idle one: it sends what it still has to say first."""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
