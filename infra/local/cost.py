"""What the stack costs this machine, from /proc: CPU seconds and memory as PSS (shared pages split among those who share)."""

from __future__ import annotations

import psutil
from pydantic import BaseModel

from redrive.blocks.core.settings import Settings
from redrive.infra.local.marks import component_of, leftovers


class Cost(BaseModel):
    """CPU seconds used since each process began, and bytes of memory now."""

    cpu: float
    memory: int


def cost(settings: Settings) -> dict[str, Cost]:
    """Cost by component. For the load over a time, take the difference of two calls; processes that ended meanwhile are lost."""
    found: dict[str, Cost] = {}
    for process in leftovers(settings):
        try:
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_full_info().pss
        except psutil.Error:
            continue  # it ended just now
        so_far = found.setdefault(component_of(process) or "postgres", Cost(cpu=0, memory=0))
        so_far.cpu += times.user + times.system
        so_far.memory += memory
    return found
