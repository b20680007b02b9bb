"""When the alerts of performance budgets fire."""

from __future__ import annotations

from tests.support.alert_series import Scenario, growing, then


def histogram(metric: str, job: str, within: str, quick: str) -> dict[str, str | None]:
    """Twenty jobs a minute, of which so many were within so many seconds, and all within 600."""
    labels = f'queue="default",job="{job}"'
    return {
        f'{metric}_bucket{{{labels},le="{within}"}}': quick,
        f'{metric}_bucket{{{labels},le="600"}}': growing(20),
        f'{metric}_bucket{{{labels},le="+Inf"}}': growing(20),
        f"{metric}_count{{{labels}}}": growing(20),
    }


OF_BUDGETS = [
    Scenario(
        "budget: a job type of which one in ten runs too long is told of, and no more once they are quick",
        histogram("queue_jobs_processing_duration_seconds", "reports", "300", then(growing(18), 60, growing(20, 1080))),
        {3: set(), 10: {"RedriveJobSlow reports"}, 59: {"RedriveJobSlow reports"}, 125: set()},
    ),
    Scenario(
        "budget: one in a hundred that runs too long is within it",
        histogram("queue_jobs_processing_duration_seconds", "reports", "300", growing(19.8)),
        {60: set()},
    ),
    Scenario(
        "budget: a job type that waits too long for its slot is told of",
        histogram("queue_jobs_wait_seconds", "mail", "300", growing(18)),
        {10: {"RedriveJobWaits mail"}},
    ),
    Scenario(
        "budget: a job type without one is quiet",
        histogram("queue_jobs_wait_seconds", "sync", "300", growing(1)),
        {60: set()},
    ),
    Scenario(
        "budget: the failures of a job type are told of by its own share",
        {
            'queue_jobs_total{queue="night",job="mail",status="completed"}': growing(9),
            'queue_jobs_total{queue="night",job="mail",status="dead"}': growing(0.8),
            'queue_jobs_failed_total{queue="night",job="mail",reason="tries"}': growing(0.8),
        },
        {20: {"RedriveJobFails mail", "RedriveFailureRate night 6h"}},
    ),
    Scenario(
        "budget: a job type of which one in ten needs too much memory is told of",
        {
            'queue_job_memory_bytes_bucket{job="reports",le="1.073741824e+09"}': growing(18),
            'queue_job_memory_bytes_bucket{job="reports",le="8.589934592e+09"}': growing(20),
            'queue_job_memory_bytes_bucket{job="reports",le="+Inf"}': growing(20),
            'queue_job_memory_bytes_count{job="reports"}': growing(20),
        },
        {10: {"RedriveJobMemory reports"}},
    ),
]
