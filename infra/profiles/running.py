"""The process of a running job, on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from redrive.blocks.core.errors import Conflict
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import RUNNING
from redrive.infra.keeper.processes import JobProcesses


def process_of(run: Run, settings: Settings) -> int:
    """The process id of a job's own process.

    Raises:
        Conflict: it does not run, or not here.
    """
    if run.state_type != RUNNING:
        raise Conflict(
            f"job {run.name} ({run.id}) does not run, it is {run.state_name}: only a running job can be profiled"
        )
    pids = JobProcesses.snapshot(settings).pids.get(run.id)
    if not pids:
        by = f" by worker {run.worker}" if run.worker else ""
        raise Conflict(f"job {run.name} ({run.id}) runs{by} on another machine: ask there")
    return pids[0]


def changes(pid: int) -> Callable[[], bool]:
    """Tells whether a process does something else than now: a warm one has another name with each job."""
    name = _name(pid)
    return lambda: _name(pid) != name


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def folder(settings: Settings) -> Path:
    """Where profiles are kept, readable by whoever runs the stack only."""
    place = settings.home / "profiles"
    place.mkdir(mode=0o700, exist_ok=True)
    return place
