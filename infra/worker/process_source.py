"""Where an attempt gets the process that runs it, and gives it back."""

from __future__ import annotations

from typing import Protocol

from redrive.infra.worker.job_process import JobProcess


class ProcessSource(Protocol):
    """Warm children, or containers of one run."""

    async def take(self) -> JobProcess:
        """A process that waits for a command.

        Raises:
            ChildGone: it ended before it took one.
        """

    async def give_back(self, child: JobProcess, *, retire: bool) -> None:
        """What was taken; it ends if it is to `retire`."""
