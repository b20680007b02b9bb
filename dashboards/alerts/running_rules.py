"""The alerts of jobs that a worker has taken: those that do not start, do not end, or are reclaimed again and again."""

from __future__ import annotations

from collections.abc import Iterator

from redrive.dashboards.alerts.limits import seconds
from redrive.dashboards.alerts.rule import Rule, increase, now, rule
from redrive.dashboards.alerts.thresholds import QueueThresholds


def not_starting(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    """A worker claims jobs and nothing comes of it: they hold slots and look like work."""
    age = limits.not_starting.age
    yield rule(
        "RedriveNotStarting",
        f"{now('queue_oldest_starting_seconds', where)} > {seconds(age):g}",
        limits.not_starting,
        summary="Queue {{ $labels.queue }}: a worker claimed a job {{ $value | humanizeDuration }} ago and has not started it. "
        "`redrive top --once` shows the workers; the log of the worker says what its processes die of.",
        description=f"A claimed job shall start within {age}. The keeper reclaims it after the lease; "
        "the next claim may end the same way.",
    )


def oldest_running(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    """A job that runs for much longer than jobs of its queue do."""
    age = limits.oldest_running.age
    yield rule(
        "RedriveOldestRunning",
        f"{now('queue_oldest_running_seconds', where)} > {seconds(age):g}",
        limits.oldest_running,
        summary="Queue {{ $labels.queue }}: a job has been running for {{ $value | humanizeDuration }} and holds its slot. "
        "Find it with `redrive jobs list --state running --queue {{ $labels.queue }}`; end it with `redrive jobs cancel ID`.",
        description=f"An attempt of this queue shall be over within {age}. A job type without a `timeout` may hang for ever.",
    )


def rescue_storm(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    """Processes or workers die as fast as they take jobs."""
    storm = limits.rescue_storm
    rescued = increase("queue_jobs_rescued_total", where, storm.window)
    yield rule(
        "RedriveRescueStorm",
        f"round({rescued}) >= {storm.at_least}\n"
        f"unless on (queue)\n"
        f"  {rescued} <= {storm.per_job:g} * {increase('queue_jobs_total', where, storm.window)}",
        storm,
        summary=f"Queue {{{{ $labels.queue }}}}: {{{{ $value }}}} jobs were rescued in the last {storm.window}, "
        f"more than {storm.per_job:g} for each finished one. "
        "Processes or workers die at work: see how often with `redrive status`, and of what in the log of the worker.",
        description="No job is lost: each starts again until its crash budget is spent, and then is a dead letter. Its effects may repeat.",
    )
