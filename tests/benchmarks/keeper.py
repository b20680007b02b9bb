"""What a round of the keeper costs: with nothing about, with much that waits, and with much in progress.

`BENCH_KEEPER_SIZES=waiting,in_progress` makes it smaller or larger.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redrive.blocks.core.settings import settings
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.queues import pause_queue
from redrive.infra.keeper.auditing import Auditor
from redrive.infra.keeper.collecting import Collector
from redrive.infra.keeper.postponed import Postponed
from redrive.infra.keeper.rescue import Rescuer
from redrive.infra.keeper.stranded import Stranded
from redrive.infra.local.supervisor import Supervisor
from tests.support.full_prefect import FullPrefect
from tests.support.job_stack import JobStack, pointed_at
from tests.support.prefect_client import api

#: Runs that wait (as many again for their next try), and runs in progress.
WAITING, IN_PROGRESS = (int(size) for size in os.environ.get("BENCH_KEEPER_SIZES", "100000,10000").split(","))
ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One duty: calls to Prefect a round, and the median of its seconds."""

    calls: int
    seconds: float


def measure() -> dict[str, Any]:
    """All of it; prints a table."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive", retry_after=3600)
    found: dict[str, dict[str, Figures]] = {}
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        ending.callback(stack.stop)
        stack.start()
        ending.enter_context(pointed_at(stack))
        # Its rounds would be measured too.
        supervisor = Supervisor.find(stack.settings)
        assert supervisor is not None
        with supervisor:
            supervisor.stop("keeper")
        pause_queue("low", paused=True)
        ledger = ending.enter_context(Ledger(settings().ledger_url()))
        full = FullPrefect(stack.settings, "test-ok", "low")
        found["empty"] = _rounds(ledger)
        full.add(scheduled=WAITING, retrying=WAITING)
        found[f"{WAITING:,} scheduled, {WAITING:,} awaiting a retry"] = _rounds(ledger)
        full.add(in_progress=IN_PROGRESS)
        found[f"and {IN_PROGRESS:,} in progress"] = _rounds(ledger)
    _print(found)
    return {size: {duty: asdict(figures) for duty, figures in duties.items()} for size, duties in found.items()}


def _rounds(ledger: Ledger) -> dict[str, Figures]:
    rescuer, collector, stranded, auditor = Rescuer(settings(), ledger), Collector(ledger), Stranded(), Auditor(ledger)
    duties: dict[str, Callable[[], Any]] = {
        "rescue": lambda: rescuer.sweep(now=time.monotonic()),
        "unstrand": stranded.sweep,
        "bring forward": Postponed().sweep,
        "collect": collector.sweep,
        "audit": auditor.sweep,
    }
    return {name: _cost(duty) for name, duty in duties.items()}


def _cost(duty: Callable[[], Any]) -> Figures:
    duty()
    made: list[Any] = []
    client = api()._client
    before = client.event_hooks
    client.event_hooks = {**before, "request": [*before["request"], made.append]}
    times = []
    try:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            duty()
            times.append(time.perf_counter() - began)
    finally:
        client.event_hooks = before
    return Figures(calls=round(len(made) / ROUNDS), seconds=statistics.median(times))


def _print(found: dict[str, dict[str, Figures]]) -> None:
    print(f"   {'':<52}" + "".join(f"{duty:>20}" for duty in next(iter(found.values()))))
    for size, duties in found.items():
        cells = (f"{figures.calls} calls {figures.seconds:.2f} s" for figures in duties.values())
        print(f"   {size:<52}" + "".join(f"{cell:>20}" for cell in cells))
