"""Processes of this stack on this machine: what became of a worker that went silent, and of the jobs it had started.

The stack notes every worker it starts in REDRIVE_HOME/run/workers. For those the truth is at hand and nobody need wait for
the lease; a worker that is not noted there runs elsewhere, and only its silence tells.

Danger: a pid alone proves nothing, it may belong to somebody else by now; a job's process is known by its environment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import psutil

from redrive.blocks.settings import Settings

#: Set by Prefect in the process of a run.
RUN_ID = "PREFECT__FLOW_RUN_ID"
#: Set by our supervisor on everything it starts, inherited by the jobs.
STACK = "REDRIVE_STACK"

Fate = Literal["alive", "gone", "elsewhere"]

#: Seconds two readings of a process's start may differ: the kernel counts in ticks.
TICK = 0.05


def note_worker(settings: Settings, name: str) -> None:
    """Note that the calling process is (or becomes, by exec) the worker of that name."""
    me = psutil.Process()
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    _forget_ended(folder)
    partial = folder / f"{name}.partial"
    partial.write_text(json.dumps({"pid": me.pid, "started": me.create_time()}))
    partial.rename(folder / name)


def fate_of_worker(settings: Settings, name: str) -> Fate:
    """Whether a worker of this stack lives; `elsewhere` if this stack did not start it."""
    try:
        noted = json.loads((_folder(settings) / name).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return "elsewhere"
    return "alive" if _lives(noted["pid"], noted["started"]) else "gone"


@dataclass(frozen=True)
class JobProcesses:
    """The processes of jobs that this stack runs on this machine, by run id, as they were when looked at."""

    pids: dict[UUID, list[int]]

    @classmethod
    def look(cls, settings: Settings) -> JobProcesses:
        found: dict[UUID, list[int]] = {}
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
        return cls(found)

    def kill(self, run_id: UUID) -> None:
        """Kill what is left of a job."""
        for pid in self.pids.get(run_id, ()):
            try:
                process = psutil.Process(pid)
                if process.environ().get(RUN_ID) == str(run_id):
                    process.kill()
            except psutil.Error:
                # It ended by itself.
                continue


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) <= TICK and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _folder(settings: Settings) -> Path:
    return settings.home / "run" / "workers"


def _forget_ended(folder: Path, keep: int = 200) -> None:
    """Notes of ended workers are needed as long as a job carries their name; the newest are plenty."""
    notes = sorted(folder.iterdir(), key=lambda note: note.stat().st_mtime, reverse=True)
    for old in notes[keep:]:
        old.unlink(missing_ok=True)
