"""Which job types are beyond their budgets now, for the console and `redrive top`: the same thresholds as Prometheus' rules.

How long that must last is Prometheus' to judge; here it shows as soon as it is so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from redrive.dashboards.alerts.limits import Budget, FailureBudget, Severity, seconds
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


def breaches(counts: Counts, thresholds: Thresholds, now: datetime) -> list[Breach]:
    """Of all job types that were given budgets."""
    return [
        breach
        for job, own in thresholds.job_types.items()
        for breach in (
            *_slower(counts, job, "duration", own.duration, now),
            *_slower(counts, job, "wait", own.wait, now),
            *_fails(counts, job, own.failures, now),
        )
    ]


def _slower(counts: Counts, job: str, what: str, budget: Budget | None, now: datetime) -> Iterator[Breach]:
    if budget is None:
        return
    found = lately(counts, job, timedelta(seconds=seconds(budget.window)), now)
    p95 = found.duration_p95 if what == "duration" else found.wait_p95
    if p95 is not None and p95 > seconds(budget.p95) and found.finished >= budget.at_least:
        alert, does = ("RedriveJobSlow", "runs") if what == "duration" else ("RedriveJobWaits", "waits")
        said = f"One job in twenty of {job} {does} {p95:.0f} s or longer in the last {budget.window}; the budget is {budget.p95}."
        yield Breach(alert=alert, severity=budget.severity, job=job, said=said)


def _fails(counts: Counts, job: str, budget: FailureBudget | None, now: datetime) -> Iterator[Breach]:
    if budget is None:
        return
    found = lately(counts, job, timedelta(seconds=seconds(budget.window)), now)
    if found.failed >= budget.at_least and found.failed > budget.share * found.finished:
        said = (
            f"{found.failed:,} of {found.finished:,} jobs of {job} became dead letters in the last {budget.window}; "
            f"the budget is {budget.share:.3g} of them."
        )
        yield Breach(alert="RedriveJobFails", severity=budget.severity, job=job, said=said)
