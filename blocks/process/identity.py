"""Which process is meant: host, boot, process id and start, as the kernel counts it; never a wall-clock time.

Source: proc(5): `/proc/sys/kernel/random/boot_id`, and `/proc/PID/stat` with state (field 3) and start in ticks since boot (field 22).

Danger: psutil's `create_time()` adds the present boot time, which moves with every step of the clock; two readings of one process
then differ, and a job that runs would be taken for lost.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

#: State and start in what follows the name in `/proc/PID/stat`: the name itself may contain blanks and parentheses.
_STATE, _START = 0, 19
#: States of a process that has ended: zombie, dead.
_ENDED = frozenset({"Z", "X", "x"})


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """One process of one boot of one host. `started` is in clock ticks since the boot."""

    host: str
    boot: str
    pid: int
    started: int

    @classmethod
    def of(cls, pid: int | None = None) -> Self:
        """The process with that id on this host, the calling one if not given.

        Raises:
            ProcessLookupError: there is none, or it has ended.
        """
        pid = os.getpid() if pid is None else pid
        state, started = _stat(pid)
        if state in _ENDED:
            raise ProcessLookupError(f"process {pid} has ended")
        return cls(host=socket.gethostname(), boot=boot_id(), pid=pid, started=started)

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> Self | None:
        """From what `note` gave; None if it is something else, for instance of an earlier version."""
        try:
            return cls(
                host=str(noted["host"]), boot=str(noted["boot"]), pid=int(noted["pid"]), started=int(noted["started"])
            )
        except (KeyError, TypeError, ValueError):
            return None

    def note(self) -> dict[str, Any]:
        """JSON of it."""
        return asdict(self)

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this host, so that this host can tell whether it lives."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether it is there, on this host and in this boot; one that ended and was not reaped is not."""
        try:
            return self == type(self).of(self.pid)
        except ProcessLookupError:
            return False


@cache
def boot_id() -> str:
    """Of this boot of this host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> tuple[str, int]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(f"there is no process {pid}") from None
    fields = text.rpartition(")")[2].split()
    return fields[_STATE], int(fields[_START])
