"""Whether the kernel killed a process for want of memory. It says so to nobody but the dead one's parent group, and only by counting.

The count of the worker's own control group is of its own processes, whoever ran out of memory; that of the machine is of everybody's.
Source: `memory.events` in the kernel's cgroup-v2 text, `memory.oom_control` in that of version 1, both with a line `oom_kill N`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

#: Where the control groups of memory are mounted, by version, and the file that counts.
_MOUNTS = {
    "": (Path("/sys/fs/cgroup"), "memory.events"),
    "memory": (Path("/sys/fs/cgroup/memory"), "memory.oom_control"),
}
_MACHINE = Path("/proc/vmstat")

#: Whose: a process of this worker's group, or one of this machine, which may have been another's.
Whose = Literal["ours", "machine"]


@dataclass(frozen=True)
class OomKills:
    """How many processes were killed for it so far; `ours` is None where the group does not count."""

    ours: int | None
    machine: int

    @classmethod
    def now(cls) -> Self:
        """As the kernel counts them in this moment."""
        group = _own_group()
        return cls(_count(group) if group else None, _count(_MACHINE) or 0)


class OomWatch:
    """Tells for the processes of one worker which SIGKILL was the kernel's; each counted kill explains one death."""

    def __init__(self) -> None:
        self._explained = OomKills(None, 0)

    def explains(self, before: OomKills) -> Whose | None:
        """Whether a process that was fine at `before`, and has ended by SIGKILL just now, can have been killed for memory.

        Its group may not be the worker's, as a job can move itself: then the machine's count is all there is.
        """
        now = OomKills.now()
        if now.ours is not None and now.ours > (known := max(before.ours or 0, self._explained.ours or 0)):
            self._explained = OomKills(known + 1, max(before.machine, self._explained.machine) + 1)
            return "ours"
        if now.machine > (known := max(before.machine, self._explained.machine)):
            return "machine"
        return None


@cache
def _own_group() -> Path | None:
    """The counting file of this process's control group. Source: cgroups(7), `/proc/PID/cgroup`."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in sorted(lines, reverse=True):
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name not in _MOUNTS:
                continue
            mount, file = _MOUNTS[name]
            # In a container the path may be the host's, while the mount begins at the container's own group.
            for found in (mount / path.lstrip("/") / file, mount / file):
                if _count(found) is not None:
                    return found
    return None


def _count(file: Path) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
