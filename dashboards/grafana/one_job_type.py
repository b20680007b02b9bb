"""One job type: how much it does, how long it takes, how often it fails and why."""

from __future__ import annotations

from redrive.dashboards.grafana.page import Page, Row, job_types, prefect_link, queues
from redrive.dashboards.grafana.panels import GREEN, RED, YELLOW, Query, bars, graph, number
from redrive.dashboards.grafana.queries import (
    CHOSEN,
    DURATION,
    JOB,
    STEP,
    TRIES,
    WAIT,
    a_minute,
    failed_share,
    in_range,
    percentile,
    percentiles,
    share_of_time,
)
from redrive.dashboards.grafana.tables import Column, lines

FIGURES = Row(
    "In this time",
    [
        number(
            "Finished",
            in_range("queue_jobs_total", CHOSEN),
            description="Jobs of this type that ended.",
            unit="short",
            span=4,
            decimals=0,
        ),
        number(
            "Failed share",
            failed_share(CHOSEN, "$__range"),
            description="Which share of them became dead letters.",
            unit="percentunit",
            span=4,
            decimals=1,
            steps=((None, GREEN), (0.01, YELLOW), (0.06, RED)),
        ),
        number(
            "Retries a job",
            f"{in_range('queue_job_retries_total', CHOSEN)} / ({in_range('queue_jobs_total', CHOSEN)} > 0)",
            description="How often a try failed and another followed, for each job that ended.",
            unit="short",
            span=4,
            decimals=2,
            steps=((None, GREEN), (0.2, YELLOW), (1, RED)),
        ),
        number(
            "Processing p95",
            percentile(0.95, DURATION, CHOSEN, "$__range"),
            description="Nineteen jobs in twenty ran for less.",
            unit="s",
            span=4,
        ),
        number(
            "Wait p95",
            percentile(0.95, WAIT, CHOSEN, "$__range"),
            description="Nineteen jobs in twenty waited for their start for less.",
            unit="s",
            span=4,
        ),
        number(
            "Schedule overdue",
            f"max(queue_schedule_overdue_seconds{{{JOB}}})",
            description="For how long a scheduled run is missing; 0 is as it should be.",
            unit="s",
            span=4,
            steps=((None, GREEN), (60, YELLOW), (600, RED)),
        ),
    ],
)

COURSE = Row(
    "Course",
    [
        graph(
            "Finished by outcome",
            Query(a_minute("queue_jobs_total", CHOSEN, "status"), "{{status}}"),
            description="Jobs that ended, a minute, by how they ended.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Dead letters by reason",
            Query(a_minute("queue_jobs_failed_total", CHOSEN, "reason"), "{{reason}}"),
            description="Jobs that failed for good, a minute, and why.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Processing time",
            *percentiles(DURATION, CHOSEN),
            description="How long jobs ran, all their attempts together.",
            unit="s",
        ),
        graph(
            "Wait for a start",
            *percentiles(WAIT, CHOSEN),
            description="From the moment a job was due to its first start.",
            unit="s",
        ),
    ],
)

TROUBLE = Row(
    "Tries",
    [
        graph(
            "Retries and rescues",
            Query(
                f"sum(rate(queue_job_retries_total{{{CHOSEN}}}[$__rate_interval])) * 60",
                "retries",
            ),
            Query(
                f"sum(rate(queue_jobs_rescued_total{{{CHOSEN}}}[$__rate_interval])) * 60",
                "rescues",
            ),
            description="retries: a try failed and another followed. rescues: its process or worker died and it was started again.",
            unit="cpm",
            reduce=("mean", "max"),
        ),
        graph(
            "Tries a job",
            *percentiles(TRIES, CHOSEN),
            description="How many tries jobs took; 1 is a job that succeeded, or failed for good, at once.",
            unit="short",
        ),
        bars(
            "Dead letters in this time",
            in_range("queue_jobs_failed_total", CHOSEN, "reason"),
            "{{reason}}",
            description="What this type fails of.",
            unit="short",
        ),
        bars(
            "Finished in this time by queue",
            in_range("queue_jobs_total", CHOSEN, "queue"),
            "{{queue}}",
            description="Which queues this type goes through.",
            unit="short",
        ),
    ],
)

STEPS = Row(
    "Steps and memory",
    [
        lines(
            "Slow steps",
            ["step"],
            [
                Column("Times", f"sum by (step) (increase({STEP}_count{{{JOB}}}[$__range]))", decimals=0),
                *(
                    Column(f"p{round(share * 100)}", percentile(share, STEP, JOB, "$__range", "step"), unit="s")
                    for share in (0.5, 0.95, 0.99)
                ),
                Column("Share of time", share_of_time("step", "$__range"), unit="percentunit", decimals=0),
            ],
            description="Which step takes the time: its percentiles, and its share of all that attempts of this type ran.",
            span=24,
            height=7,
            sort="Share of time",
        ),
        graph(
            "Share of time by step",
            Query(share_of_time("step", "$__rate_interval"), "{{step}}"),
            description="Of the time that attempts ran, what each step took. The rest up to all of it is outside of steps.",
            unit="percentunit",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Memory",
            *percentiles("queue_job_memory_bytes", JOB),
            description="The most memory an attempt had to itself.",
            unit="bytes",
        ),
    ],
)

PAGE = Page(
    uid="redrive-job-type",
    title="Job type",
    description="One job type: how much it does, how long it takes, how often it fails and why.",
    variables=(job_types(several=False), queues()),
    links=(
        prefect_link("Runs in Prefect", "/runs"),
        prefect_link("Deployments in Prefect", "/deployments"),
    ),
    rows=(FIGURES, COURSE, STEPS, TROUBLE),
)
