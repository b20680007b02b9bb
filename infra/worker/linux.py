"""The few calls to Linux that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.process.kernel import PR_SET_CHILD_SUBREAPER, PR_SET_NAME, PR_SET_PDEATHSIG, prctl

#: As `nice` has it: what it is if nobody says, which leaves a job a third of what others get, and the most.
NICE, LEAST_PRIORITY = 5, 19


def check_platform() -> None:
    """Raises `RedriveError` where this is not Linux, or the environment asks for a priority that Linux does not have."""
    if sys.platform != "linux":
        raise RedriveError("the warm worker needs Linux: use a pool of Prefect's type process here")
    job_nice()


def adopt_orphans() -> None:
    """From now on processes whose parent ended become this process's children instead of init's."""
    _require(prctl(PR_SET_CHILD_SUBREAPER, 1))


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, given by its id, ends in any way."""
    _require(prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    if os.getppid() != parent:
        # It ended before we asked.
        os._exit(0)


def set_name(name: str) -> None:
    """What `ps` and `top` show of this process; 15 bytes at most."""
    _require(prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()[:15])))


def job_nice() -> int:
    """How much jobs give way, by the worker's environment: `REDRIVE_JOB_NICE`, 0 to 19.

    Raises:
        RedriveError: it is none of these.
    """
    given = os.environ.get("REDRIVE_JOB_NICE") or str(NICE)
    if not given.isdecimal() or int(given) > LEAST_PRIORITY:
        raise RedriveError(f"REDRIVE_JOB_NICE is {given!r}: set a whole number from 0 to {LEAST_PRIORITY}")
    return int(given)


def lower_priority(nice: int) -> None:
    """Let what guards the jobs go first where processors are short.

    Args:
        nice: 0 (no lower) to 19. Told to the session's group as well, if the kernel has such groups (`man 7 sched`): among sessions
            only that counts, and a process alone in its session would take as much as the whole stack in another.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    with suppress(OSError):
        # Not there, or asked too often: a kernel lets those who are not root do it ten times a second.
        Path("/proc/self/autogroup").write_text(str(nice))


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children, ended ones included that nobody reaped."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(one) for one in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        # A thread, or all of it, ended while we looked.
        pass
    return found


def descendants_of(pid: int) -> list[int]:
    """All processes below one."""
    found, todo = [], [pid]
    while todo:
        below = children_of(todo.pop())
        found += below
        todo += below
    return found


def threads_of(pid: int) -> int:
    """How many threads a process has, those Python knows nothing of included."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def memory_of(pid: int) -> int:
    """Bytes of memory a process has to itself: resident, without what it shares with others."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> None:
    """Measure this process' most memory from now on (`man 5 proc`, clear_refs)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The most bytes of memory this process had to itself since `forget_peak`; what it shares with others counts as it is now."""
    sizes = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in {"VmHWM", "RssFile", "RssShmem"}:
            sizes[name] = int(value.split()[0]) * 1024
    return max(0, sizes.get("VmHWM", 0) - sizes.get("RssFile", 0) - sizes.get("RssShmem", 0))


def _require(done: bool) -> None:  # noqa: FBT001  (the answer of a call)
    if not done:
        raise OSError(ctypes.get_errno(), "prctl")
