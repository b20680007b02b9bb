"""Which job types are beyond their budgets now, for the console and `redrive top`: the same thresholds as Prometheus' rules.

How long that must last is Prometheus' to judge; here it shows as soon as it is so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from redrive.blocks.process.job_figures import MEGABYTE, MEMORY, JobFigures, Series
from redrive.dashboards.alerts.limits import FailureBudget, MemoryBudget, Severity, TimeBudget, seconds, size_bytes
from redrive.dashboards.alerts.thresholds import Thresholds
from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.health.pace import lately


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A budget that is exceeded: the alert of that name, and what is so."""

    alert: str
    severity: Severity
    job: str
    said: str


def breaches(counts: Counts, thresholds: Thresholds, now: datetime, figures: JobFigures | None = None) -> list[Breach]:
    """Of all job types that were given budgets; of those of memory none, where `figures` is None or unavailable."""
    return [
        breach
        for job, own in thresholds.job_types.items()
        for breach in (
            *_slower(counts, job, "duration", own.duration, now),
            *_slower(counts, job, "wait", own.wait, now),
            *_fails(counts, job, own.failures, now),
            *_larger(figures, job, own.memory, now),
        )
    ]


def _slower(counts: Counts, job: str, what: str, budget: TimeBudget | None, now: datetime) -> Iterator[Breach]:
    if budget is None:
        return
    found = lately(counts, job, timedelta(seconds=seconds(budget.window)), now)
    p95 = found.duration_p95 if what == "duration" else found.wait_p95
    if p95 is not None and p95 > seconds(budget.p95) and found.finished >= budget.at_least:
        alert, does = ("RedriveJobSlow", "runs") if what == "duration" else ("RedriveJobWaits", "waits")
        message = f"One job in twenty of {job} {does} {p95:.0f} s or longer in the last {budget.window}; the budget is {budget.p95}."
        yield Breach(alert=alert, severity=budget.severity, job=job, said=message)


def _fails(counts: Counts, job: str, budget: FailureBudget | None, now: datetime) -> Iterator[Breach]:
    if budget is None:
        return
    found = lately(counts, job, timedelta(seconds=seconds(budget.window)), now)
    if found.failed >= budget.at_least and found.failed > budget.share * found.finished:
        message = (
            f"{found.failed:,} of {found.finished:,} jobs of {job} became dead letters in the last {budget.window}; "
            f"the budget is {budget.share:.3g} of them."
        )
        yield Breach(alert="RedriveJobFails", severity=budget.severity, job=job, said=message)


def _larger(figures: JobFigures | None, job: str, budget: MemoryBudget | None, now: datetime) -> Iterator[Breach]:
    if budget is None or figures is None:
        return
    try:
        # In whole hours, as workers count it.
        found = figures.since(timedelta(seconds=seconds(budget.window)), now).get(Series(MEMORY, job))
    except redis.RedisError:
        return
    p95 = found.at(0.95) if found is not None and found.count >= budget.at_least else None
    if p95 is not None and p95 > size_bytes(budget.p95):
        had = f"{p95 / MEGABYTE:,.0f} MB"
        message = f"One attempt in twenty of {job} has {had} of memory or more in the last {budget.window}; the budget is {budget.p95}."
        yield Breach(alert="RedriveJobMemory", severity=budget.severity, job=job, said=message)
