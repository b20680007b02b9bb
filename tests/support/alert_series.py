"""Made-up time series: an idle night, and what differs from it in a scenario of the alerts."""

from __future__ import annotations

from dataclasses import dataclass

LONG = 600  # minutes a series goes on: longer than any scenario


def steady(value: float) -> str:
    return f"{value}+0x{LONG}"


def growing(per_minute: float, start: float = 0) -> str:
    return f"{start}+{per_minute}x{LONG}"


def then(first: str, minutes: int, second: str) -> str:
    """`first` for so many minutes, then `second`."""
    return f"{first.rpartition('x')[0]}x{minutes - 1} {second}"


QUIET = {
    'up{job="redrive"}': steady(1),
    "queue_exporter_up": steady(1),
    "queue_exporter_lag_seconds": steady(2),
    'queue_schedule_overdue_seconds{job="sync"}': steady(0),
    'queue_keeper_duty_age_seconds{duty="rescue"}': steady(4),
    'queue_keeper_duty_every_seconds{duty="rescue"}': steady(5),
    'queue_keeper_duty_age_seconds{duty="audit"}': steady(500),
    'queue_keeper_duty_every_seconds{duty="audit"}': steady(600),
    "queue_uncollected_failures": steady(0),
    "queue_audit_found_total": steady(12),
} | {
    series: value
    for queue in ("high", "default", "low")
    for series, value in {
        f'queue_jobs_waiting{{queue="{queue}"}}': steady(0),
        f'queue_jobs_scheduled{{queue="{queue}"}}': steady(0),
        f'queue_jobs_retrying{{queue="{queue}"}}': steady(0),
        f'queue_jobs_running{{queue="{queue}"}}': steady(0),
        f'queue_jobs_starting{{queue="{queue}"}}': steady(0),
        f'queue_oldest_waiting_seconds{{queue="{queue}"}}': steady(0),
        f'queue_oldest_running_seconds{{queue="{queue}"}}': steady(0),
        f'queue_oldest_starting_seconds{{queue="{queue}"}}': steady(0),
        f'queue_last_finished_timestamp_seconds{{queue="{queue}"}}': steady(0),
        f'queue_workers{{queue="{queue}"}}': steady(1),
        f'queue_paused{{queue="{queue}"}}': steady(0),
        f'queue_paused_seconds{{queue="{queue}"}}': steady(0),
        f'queue_jobs_total{{queue="{queue}",job="sync",status="completed"}}': steady(500),
        f'queue_jobs_failed_total{{queue="{queue}",job="sync",reason="tries"}}': steady(7),
        f'queue_job_retries_total{{queue="{queue}",job="sync"}}': steady(40),
        f'queue_jobs_rescued_total{{queue="{queue}",job="sync"}}': steady(20),
        f'queue_dead_letters{{queue="{queue}",status="open"}}': steady(0),
        f'queue_dead_letters{{queue="{queue}",status="resolved"}}': steady(400),
        f'queue_dead_letter_oldest_seconds{{queue="{queue}"}}': steady(0),
    }.items()
}
"""An idle night: nothing is due, nothing runs, and it was the same for hours."""

DONE = 'queue_jobs_total{queue="default",job="sync",status="completed"}'
DEAD = 'queue_jobs_total{queue="default",job="sync",status="dead"}'
FAILED = 'queue_jobs_failed_total{queue="default",job="sync",reason="tries"}'
RETRIES = 'queue_job_retries_total{queue="default",job="sync"}'
RESCUES = 'queue_jobs_rescued_total{queue="default",job="sync"}'
RESCUE_AGE = 'queue_keeper_duty_age_seconds{duty="rescue"}'
AUDIT_AGE = 'queue_keeper_duty_age_seconds{duty="audit"}'


def of(metric: str, queue: str = "default", more: str = "") -> str:
    return f'queue_{metric}{{queue="{queue}"{more}}}'


@dataclass(frozen=True)
class Scenario:
    """Series over those of an idle night (None takes one away), and which alerts fire at which minute: `Name queue`."""

    name: str
    series: dict[str, str | None]
    firing: dict[int, set[str]]
