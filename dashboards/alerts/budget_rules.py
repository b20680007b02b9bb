"""The alerts of performance budgets: job types that take longer, wait longer, fail more often or need more memory than agreed."""

from __future__ import annotations

from collections.abc import Iterator

from redrive.dashboards.alerts.limits import FailureBudget, MemoryBudget, TimeBudget, seconds, size_bytes
from redrive.dashboards.alerts.rule import Rule, rule
from redrive.dashboards.alerts.thresholds import Thresholds


def budget_rules(thresholds: Thresholds) -> Iterator[Rule]:
    """Of each job type the budgets that it was given."""
    for job, own in thresholds.job_types.items():
        if own.duration is not None:
            yield _slow(job, own.duration)
        if own.wait is not None:
            yield _waits(job, own.wait)
        if own.failures is not None:
            yield _fails(job, own.failures)
        if own.memory is not None:
            yield _large(job, own.memory)


def _slow(job: str, budget: TimeBudget) -> Rule:
    return _rule(
        job,
        "RedriveJobSlow",
        _percentile("queue_jobs_processing_duration_seconds", job, budget, seconds(budget.p95)),
        budget,
        summary=f"Job type {{{{ $labels.job }}}}: one job in twenty of the last {budget.window} ran "
        "{{ $value | humanizeDuration }} or longer. "
        "See which with `redrive jobs list --job {{ $labels.job }}`; one that runs tells where its time goes by `redrive jobs profile ID`.",
        description=f"95 of 100 jobs of this type shall run for {budget.p95} at most, all their attempts together.",
    )


def _waits(job: str, budget: TimeBudget) -> Rule:
    return _rule(
        job,
        "RedriveJobWaits",
        _percentile("queue_jobs_wait_seconds", job, budget, seconds(budget.p95)),
        budget,
        summary=f"Job type {{{{ $labels.job }}}}: one job in twenty of the last {budget.window} waited "
        "{{ $value | humanizeDuration }} or longer for a slot. "
        "See what holds the slots with `redrive jobs list --state running`; `redrive jobs why ID` says it of one that waits.",
        description=f"95 of 100 jobs of this type shall start within {budget.p95} of their time.",
    )


def _fails(job: str, budget: FailureBudget) -> Rule:
    failed = _finished("queue_jobs_failed_total", job, budget.window)
    return _rule(
        job,
        "RedriveJobFails",
        f"{failed} / {_finished('queue_jobs_total', job, budget.window)} > {budget.share:g}\n"
        f"and on (job)\n"
        f"  round({failed}) >= {budget.at_least}",
        budget,
        summary="Job type {{ $labels.job }}: {{ $value | humanizePercentage }} of the jobs "
        f"that finished in the last {budget.window} "
        "became dead letters. See the causes with `redrive dead groups --job {{ $labels.job }}`.",
        description=f"At most {budget.share:.2%} of the jobs of this type shall become dead letters.",
    )


def _large(job: str, budget: MemoryBudget) -> Rule:
    return _rule(
        job,
        "RedriveJobMemory",
        _percentile("queue_job_memory_bytes", job, budget, size_bytes(budget.p95)),
        budget,
        summary=f"Job type {{{{ $labels.job }}}}: one attempt in twenty of the last {budget.window} had "
        "{{ $value | humanize1024 }}B of memory or more. "
        "See which lines keep it with `redrive jobs profile ID --memory` while one runs.",
        description=f"95 of 100 attempts of this type shall have {budget.p95} of memory at most.",
    )


def _rule(
    job: str,
    name: str,
    expression: str,
    budget: TimeBudget | FailureBudget | MemoryBudget,
    *,
    summary: str,
    description: str,
) -> Rule:
    """An alert on one job type, with its own dashboard."""
    return rule(
        name,
        expression,
        budget,
        summary=summary,
        description=description,
        dashboard="redrive-job-type",
        variable="job",
        labels={"job": job},
    )


def _percentile(metric: str, job: str, budget: TimeBudget | MemoryBudget, limit: float) -> str:
    buckets = f'sum by (job, le) (increase({metric}_bucket{{job="{job}"}}[{budget.window}]))'
    return (
        f"histogram_quantile(0.95, {buckets}) > {limit:.12g}\n"
        f"and on (job)\n"
        f"  round({_finished(f'{metric}_count', job, budget.window)}) >= {budget.at_least}"
    )


def _finished(metric: str, job: str, window: str) -> str:
    return f'sum by (job) (increase({metric}{{job="{job}"}}[{window}]))'
