"""What a job may leave behind in a process that others use after it: folder, environment, signals, threads, files, children.

Danger: Prefect itself keeps threads and connections; those are known by their names and by where they lead.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from redrive.blocks.core.counted import counted
from redrive.infra.worker.linux import descendants_of

#: Seconds threads and processes of a job get to end after it; Prefect's own task runners need a moment.
LAST_MOMENT = 0.2
#: More open files than before, of kinds that are nobody's in particular, that a job may leave.
SPARE_FILES = 64

#: Threads of Prefect, anyio and ourselves that live as long as the process.
_KEPT = (
    "redrive-",
    "GlobalEventLoopThread",
    "APILogWorker",
    "EventsWorker",
    "RunSync",
    "AnyIO",
    "asyncio_",
    "WorkerThread",
    "RunSyncEventLoopThread",
)
_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)


@dataclass
class LeakedState:
    """How a process was before a job."""

    folder: str
    environment: dict[str, str]
    umask: int
    handlers: dict[int, object]
    limits: dict[int, tuple[int, int]]
    threads: frozenset[int]
    files: dict[int, str]
    streams: tuple[object, ...]
    accepted: bool = field(default=False)

    @classmethod
    def snapshot(cls) -> Self:
        """The process as it is now."""
        return cls(
            folder=str(Path.cwd()),
            environment=dict(os.environ),
            umask=_umask(),
            handlers=_handlers(),
            limits=_limits(),
            threads=frozenset(thread.ident or 0 for thread in threading.enumerate()),
            files=_files(),
            streams=(sys.stdin, sys.stdout, sys.stderr),
        )

    def accept_folder(self) -> None:
        """Loading the job changed the folder, or the environment, and may."""
        self.folder = str(Path.cwd())
        self.environment = dict(os.environ)

    def compare(self) -> str | None:
        """The first difference that ends the process, in words; None if there is none. Ends what still runs below it."""
        return (
            self._children()
            or self._differs("the working directory", _folder(), self.folder)
            or self._differs("the environment", dict(os.environ), self.environment)
            or self._differs("the umask", _umask(), self.umask)
            or self._differs("signal handlers", _handlers(), self.handlers)
            or self._differs("resource limits", _limits(), self.limits)
            or self._differs("standard streams", (sys.stdin, sys.stdout, sys.stderr), self.streams)
            or self._threads()
            or self._open_files()
        )

    def restore(self) -> None:
        """Put back what can be, for what this process itself still has to do."""
        os.umask(self.umask)

    @staticmethod
    def _differs(what: str, now: object, before: object) -> str | None:
        return None if now == before else f"it changed {what}"

    @staticmethod
    def _children() -> str | None:
        alive = [pid for pid in descendants_of(os.getpid()) if not _reap(pid)]
        give_up = time.monotonic() + LAST_MOMENT
        while alive and time.monotonic() < give_up:
            # On their way out: nothing that was left behind.
            time.sleep(0.01)
            alive = [pid for pid in alive if not _reap(pid)]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid in alive:
            _reap(pid)
        if not alive:
            return None
        return f"it left {counted(len(alive), 'process', 'processes')} behind, killed by the worker"

    def _threads(self) -> str | None:
        for thread in threading.enumerate():
            if (thread.ident or 0) not in self.threads and not thread.name.startswith(_KEPT):
                thread.join(LAST_MOMENT)
                if thread.is_alive():
                    return f"it left thread {thread.name!r} running"
        return None

    def _open_files(self) -> str | None:
        give_up = time.monotonic() + LAST_MOMENT
        while (left := self._left_open()) and time.monotonic() < give_up:
            # A thread of Prefect's may be reading certificates for a connection.
            time.sleep(0.01)
        return left

    def _left_open(self) -> str | None:
        now = _files()
        for number in (0, 1, 2):
            if now.get(number) != self.files.get(number):
                return f"it closed or replaced file descriptor {number}"
        new = [number for number, target in now.items() if self.files.get(number) != target]
        for number in new:
            if _is_somebodys(number, now[number]):
                return f"it left {now[number]} open"
        return f"it left {counted(len(new), 'file')} open" if len(now) - len(self.files) > SPARE_FILES else None


def _reap(pid: int) -> bool:
    """Whether a process has ended; one of our own is taken off the list."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists()


def _folder() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handlers() -> dict[int, object]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _limits() -> dict[int, tuple[int, int]]:
    return {name: resource.getrlimit(name) for name in _LIMITS}


def _files() -> dict[int, str]:
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[int(link.name)] = str(link.readlink())
        except OSError:
            # The one that listed them, closed by now.
            continue
    return found


def _is_somebodys(number: int, target: str) -> bool:
    """Whether an open file is a job's: a real file, a pipe, or a connection to elsewhere than Prefect."""
    try:
        kind = os.fstat(number).st_mode
    except OSError:
        return False
    if stat.S_ISSOCK(kind):
        return _leads_elsewhere(number)
    if target.startswith("anon_inode:"):
        return False
    return target not in {"/dev/null", "/dev/urandom", "/dev/random"} and not target.startswith("/proc/")


def _leads_elsewhere(number: int) -> bool:
    """Connections of Prefect's own clients go to its API; nameless pairs belong to event loops."""
    try:
        with socket.socket(fileno=os.dup(number)) as one:
            if one.family == socket.AF_UNIX:
                return bool(one.getsockname())
            return bool(one.getpeername()[1] != _api_port())
    except OSError:
        # Listening, or its other side is gone.
        return True


def _api_port() -> int:
    from urllib.parse import urlsplit  # noqa: PLC0415

    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415  (loaded by the template already)

    parts = urlsplit(str(PREFECT_API_URL.value()))
    return parts.port or (443 if parts.scheme == "https" else 80)
