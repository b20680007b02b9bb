"""Processes of the worker's benchmark: what they cost, and how they end."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from redrive.infra.local.supervisor import Supervisor
from tests.support.job_stack import JobStack


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process, of all below it, and of those below it that ended."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += sum(one.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


def memory_of(process: psutil.Process) -> float:
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def idle_of(worker: psutil.Process, seconds: float = 10) -> float:
    """Share of a core that a worker takes while it has nothing to do."""
    before = cpu_of(worker)
    time.sleep(seconds)
    return (cpu_of(worker) - before) / seconds


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def stop_parts(stack: JobStack, names: tuple[str, ...]) -> None:
    supervisor = Supervisor.find(stack.settings)
    assert supervisor is not None
    with supervisor:
        for name in names:
            if name in supervisor.all():
                supervisor.stop(name)
