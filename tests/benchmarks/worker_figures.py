"""What the worker benchmark finds about each contestant, from Prefect's record of its runs, and the table of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from tests.support.prefect_client import api

MEGABYTE = 1024 * 1024
#: Runs the API gives at once.
PAGE = 200


@dataclass(kw_only=True)
class Figures:
    """Of one contestant in one round. CPU is in seconds a job, starts in seconds, memory in bytes (PSS, the most seen)."""

    rate: float
    starts: list[float]
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    database_cpu: float = 0.0
    requests: float = 0.0
    memory: float = 0.0
    idle: float = 0.0
    #: Milliseconds of each step of a start with nothing else to do, and of a job under load.
    start_steps: list[Steps] = field(default_factory=list)
    load_steps: list[Steps] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Of one job, milliseconds by Prefect's record: accepted to claimed, claimed to Running, Running to Completed."""

    claimed: float
    running: float
    ended: float


def steps_of_latest(deployment: Any, count: int) -> list[Steps]:
    """Of the runs of a deployment that ended last."""
    mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    return [
        _steps(run) for run in api().read_flow_runs(flow_run_filter=mine, sort=FlowRunSort.END_TIME_DESC, limit=count)
    ]


def _steps(run: FlowRun) -> Steps:
    """From the states of a run that completed."""
    at = {state.type.value: state.timestamp for state in api().read_flow_run_states(run.id)}
    assert run.expected_start_time
    times = [run.expected_start_time, at["PENDING"], at["RUNNING"], at["COMPLETED"]]
    claimed, running, ended = (1000 * (after - before).total_seconds() for before, after in pairwise(times))
    return Steps(claimed=claimed, running=running, ended=ended)


def ends_of(ids: Sequence[str]) -> list[float]:
    """When runs ended, seconds since the epoch."""
    ends: list[float] = []
    for page in (ids[at : at + PAGE] for at in range(0, len(ids), PAGE)):
        mine = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(one) for one in page]))
        ends += [run.end_time.timestamp() for run in api().read_flow_runs(flow_run_filter=mine) if run.end_time]
    return ends


def rate_of(times: Iterable[float], slots: int) -> float:
    """Jobs a second once all slots are at work: what follows the first job of each. What comes before is the wait for a poll and
    the start, which is told apart, and which would weigh more the fewer jobs there are.
    """
    first, *rest = sorted(times)[slots - 1 :]
    return len(rest) / (rest[-1] - first)


def print_table(found: dict[str, list[Figures]], *, whole: bool) -> None:
    """The table and, if all contestants are there, how they compare."""

    def median(name: str, what: str) -> float:
        return statistics.median(float(getattr(one, what)) for one in found[name])

    print(
        "\n   contestant      jobs/s   start p50   start p99   requests   CPU ms a job: server  client  postgres    memory    idle"
    )
    for name, rounds in found.items():
        starts = sorted(start for one in rounds for start in one.starts)
        p50, p99 = starts[len(starts) // 2], starts[min(len(starts) - 1, int(len(starts) * 0.99))]
        print(
            f"   {name:<13} {median(name, 'rate'):8.2f} {p50:9.3f} s {p99:9.3f} s {median(name, 'requests'):10.1f}"
            f" {1000 * median(name, 'server_cpu'):21.0f} {1000 * median(name, 'client_cpu'):7.0f}"
            f"{1000 * median(name, 'database_cpu'):10.0f}"
            f" {median(name, 'memory') / MEGABYTE:6.0f} MB {100 * median(name, 'idle'):6.1f} %"
        )
    for title, what in (("with nothing else to do", "start_steps"), ("under load", "load_steps")):
        print(f"\n   where the time goes {title}, ms a job (medians):")
        for name, rounds in found.items():
            steps = [step for one in rounds for step in getattr(one, what)]
            if not steps:
                continue
            parts = {part.name: statistics.median(getattr(step, part.name) for step in steps) for part in fields(Steps)}
            wait = f"claimed after {parts['claimed']:7.0f}, " if what == "start_steps" else ""
            print(
                f"   {name:<13} {wait}Running after {parts['running']:6.0f} more, Completed after {parts['ended']:6.0f} more"
            )
    stock, warm, plain = "stock", "warm", "warm-plain"
    if {warm, plain} <= found.keys():
        print(
            f"\n   with the server's fast calls against Prefect's own, both warm: {median(warm, 'rate') / median(plain, 'rate'):.1f} x the"
            f" throughput, 1/{median(plain, 'server_cpu') / median(warm, 'server_cpu'):.1f} of the server's CPU"
        )
    if not whole:
        return
    cost = {name: median(name, "server_cpu") + median(name, "client_cpu") for name in (stock, warm)}
    starts = {
        name: statistics.median(start for one in rounds for start in one.starts) for name, rounds in found.items()
    }
    print(
        f"\n   warm against stock: {median(warm, 'rate') / median(stock, 'rate'):.1f} x the throughput,"
        f" 1/{cost[stock] / cost[warm]:.1f} of the CPU;"
        f" against RQ: {median(warm, 'rate') / median('RQ', 'rate'):.2f} x the throughput,"
        f" {starts[warm] / starts['RQ']:.1f} x the time to start"
    )
    heavy = "warm, pandas", "RQ, pandas"
    print(
        f"   with pandas in the module of the job, which RQ imports for each job, against RQ:"
        f" {median(heavy[0], 'rate') / median(heavy[1], 'rate'):.2f} x the throughput,"
        f" {starts[heavy[0]] / starts[heavy[1]]:.1f} x the time to start"
    )
