"""How the processes of a stack are known from all others: by marks in their environment, never by name.

Jobs' processes inherit the marks from the worker, so that a stack that starts over finds what a killed one left behind.

Danger: PostgreSQL's children overwrite their environment with their title; program and data folder tell them instead.
"""

from __future__ import annotations

import os
import signal
import time

import psutil

from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.postgres_files import SERVER, data_folder

#: Seconds a leftover gets to end by itself. PostgreSQL writes its last checkpoint in it.
GRACE = 10.0


def marks(settings: Settings, component: str) -> dict[str, str]:
    """The environment entries that mark a process of this stack."""
    return {"REDRIVE_HOME": str(settings.home), "REDRIVE_STACK": settings.stack_id, "REDRIVE_COMPONENT": component}


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Every live process of this stack, except ourselves and whoever called us (a job may run `redrive`)."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in mine and belongs(process, settings)]


def belongs(process: psutil.Process, settings: Settings) -> bool:
    """Whether a process is part of this stack."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get("REDRIVE_STACK") == settings.stack_id:
            return True
        return process.exe() == str(SERVER) and process.cwd() == str(data_folder(settings))
    except psutil.Error:
        # Gone meanwhile, or another user's: neither is ours to end.
        return False


def end_leftovers(settings: Settings, grace: float = GRACE) -> int:
    """End every process of this stack, say how many: the supervisor first, lest it restart them; TERM, then KILL."""
    found = leftovers(settings)
    supervisors = [process for process in found if component_of(process) == "supervisor"]
    _end(supervisors, grace=0)
    ended = len(found)
    deadline = time.monotonic() + grace
    while found := leftovers(settings):  # again and again: a process may have started another one meanwhile
        _end(found, grace=max(0, deadline - time.monotonic()))
    return ended


def component_of(process: psutil.Process) -> str:
    """The component a marked process belongs to; empty if it does not say."""
    try:
        return process.environ().get("REDRIVE_COMPONENT", "")
    except psutil.Error:
        return ""


def _end(processes: list[psutil.Process], *, grace: float) -> None:
    if grace:
        for process in processes:
            _signal(process, stop=True)
        _, processes = psutil.wait_procs(processes, timeout=grace)
    for process in processes:
        _signal(process, stop=False)
    psutil.wait_procs(processes, timeout=5)


def _signal(process: psutil.Process, *, stop: bool) -> None:
    try:
        if not stop:
            process.kill()
        elif component_of(process) == "postgres":
            process.send_signal(signal.SIGINT)  # fast shutdown; TERM would wait for every client to leave
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        pass  # what we wanted
