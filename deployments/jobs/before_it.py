"""What is due before a job that waits: how many, and whether a worker's poll sees it behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from redrive.blocks.core.counted import counted
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import deployments
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Wanted
from redrive.blocks.prefect.states import SCHEDULED

#: Runs that a worker's poll looks at, by Prefect's own limit: what stands behind them is not seen, whatever its queue.
EXAMINED: Final = 200


def before_it(run: Run, there: Mapping[str, Any], due: datetime, now: datetime) -> str:
    """One sentence; empty if nothing is due before it. `there`: the queues of its pool, by name."""
    mine = int(there[run.queue]["priority"])
    earlier = [name for name, one in there.items() if int(one["priority"]) < mine and not one["is_paused"]]
    waiting = Wanted(types=[SCHEDULED], pools=[run.pool], due_before=now, deployed=False)
    before = runs.count(replace(waiting, queues=earlier)) if earlier else 0
    before += max(0, runs.count(replace(waiting, queues=[run.queue], due_before=due)) - 1)
    if before >= EXAMINED:
        message = (
            f"{before:,} jobs are due before it; a worker's poll sees {EXAMINED} at once, so it is not looked at yet"
        )
        return f"{message}{_hiding(waiting)}"
    if before:
        return f"{counted(before, 'job')} of its queue or of one served first {'is' if before == 1 else 'are'} due before it"
    return ""


def _hiding(waiting: Wanted) -> str:
    """Which job type's own limit lets its jobs stand at the head of what a poll sees, if one does: they hide all others."""
    seen = runs.page(waiting, runs.Order.DUE, limit=EXAMINED).runs
    if not seen:
        return ""
    job, number = Counter(run.job for run in seen).most_common(1)[0]
    one = next(run for run in seen if run.job == job)
    found = ask(deployments.read(one.deployment_id).or_none()) if one.deployment_id else None
    limit = ((found or {}).get("global_concurrency_limit") or {}).get("limit")
    if limit is None:
        return ""
    return (
        f": {number} of the first {len(seen)} are of job type {job!r}, of which {counted(limit, 'job')} may run at once; those that "
        "wait for that hide all others"
    )
