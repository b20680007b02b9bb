"""Processes that a worker starts beside its children, such as a profiler: whoever reaps what jobs left behind lets them be.

Danger: a process of a job that is taken for one of these is never ended; so only whoever starts one names it.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OwnProcesses:
    """Safe to use from threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._pids: set[int] = set()

    @contextmanager
    def started(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """A process of the worker's own, while it is needed; killed afterwards."""
        # Nobody may look at the worker's children between its start and its name.
        with self._turn:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self._pids.add(process.pid)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            with self._turn:
                self._pids.discard(process.pid)

    @contextmanager
    def known(self) -> Iterator[set[int]]:
        """Those there are, while no other one starts."""
        with self._turn:
            yield set(self._pids)


OWN = OwnProcesses()
