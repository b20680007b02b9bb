"""Processes of this stack on this machine: what became of a worker that went silent, and of the jobs it had started.

The stack notes every worker it starts, and warm workers note their jobs (`blocks/process/notes.py`). For those the truth is
at hand and nobody need wait for the lease; a worker that is not noted runs elsewhere, and only its silence tells. Jobs of
Prefect's own workers are known by the environment of their processes.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import psutil

from redrive.blocks.core.settings import Settings
from redrive.blocks.process.notes import ProcessNotes

#: Set by Prefect in the process of a run.
RUN_ID = "PREFECT__FLOW_RUN_ID"
#: Set by our supervisor on everything it starts, inherited by the jobs.
STACK = "REDRIVE_STACK"

WorkerState = Literal["alive", "gone", "elsewhere"]


def note_worker(settings: Settings, name: str) -> None:
    """Note that the calling process is (or becomes, by exec) the worker of that name."""
    notes = ProcessNotes.of(settings.home, "workers")
    notes.note(name)
    notes.forget_ended()


def state_of_worker(settings: Settings, name: str) -> WorkerState:
    """Whether a worker of this stack lives; `elsewhere` if this stack did not start it."""
    pid = ProcessNotes.of(settings.home, "workers").pid(name)
    if pid is None:
        return "elsewhere"
    return "alive" if pid else "gone"


@dataclass(frozen=True)
class JobProcesses:
    """The processes of jobs that this stack runs on this machine, by run id, as they were when looked at."""

    pids: dict[UUID, list[int]]
    #: Those of warm workers, which lead a group of all that the job started.
    leaders: frozenset[int] = frozenset()
    #: Jobs of warm workers whose own process has ended: what is left of them are helpers that they started.
    without_leader: frozenset[UUID] = frozenset()

    @classmethod
    def snapshot(cls, settings: Settings) -> JobProcesses:
        notes = ProcessNotes.of(settings.home, "jobs")
        noted = {UUID(run_id): pid for run_id, pid in notes.alive().items()}
        found = {run_id: [pid] for run_id, pid in noted.items()}
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                environment = process.environ()
            except psutil.Error:
                # Ended while we looked, or somebody else's: not a job of this stack.
                continue
            run_id = environment.get(RUN_ID)
            if run_id and environment.get(STACK) == settings.stack_id:
                found.setdefault(UUID(run_id), []).append(process.pid)
        helpers = frozenset(run_id for run_id in found.keys() - noted.keys() if notes.pid(str(run_id)) == 0)
        return cls(found, frozenset(noted.values()), helpers)

    def kill(self, run_id: UUID) -> None:
        """Kill what is left of a job."""
        for pid in self.pids.get(run_id, ()):
            if pid in self.leaders:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                continue
            try:
                process = psutil.Process(pid)
                if process.environ().get(RUN_ID) == str(run_id):
                    process.kill()
            except psutil.Error:
                # It ended by itself.
                continue
