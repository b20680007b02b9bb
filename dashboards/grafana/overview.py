"""The first dashboard one opens: is work being done, does any wait too long, does any need a person?"""

from __future__ import annotations

from redrive.dashboards.grafana.page import Page, Row, job_types, prefect_link, queues
from redrive.dashboards.grafana.panels import GREEN, ORANGE, RED, YELLOW, Query, graph, number, states
from redrive.dashboards.grafana.queries import (
    CHOSEN,
    DURATION,
    QUEUE,
    WAIT,
    a_minute,
    all_queues,
    failed_share,
    in_range,
    now,
    percentile,
    percentiles,
)
from redrive.dashboards.grafana.tables import Column, lines

PAUSED = {"0": ("runs", GREEN), "1": ("paused", ORANGE)}

NOW = Row(
    "Now",
    [
        number(
            "Waiting",
            all_queues("queue_jobs_waiting"),
            description="Jobs that are due and have not started. Jobs scheduled for later and waits between tries are not among them.",
            unit="short",
            span=3,
        ),
        number(
            "Oldest waiting",
            "max(queue_oldest_waiting_seconds{" + QUEUE + "})",
            description="For how long the longest waiting job has been due. This, not the number, says whether people wait.",
            unit="s",
            span=3,
            steps=((None, GREEN), (300, YELLOW), (900, RED)),
        ),
        number(
            "Running",
            all_queues("queue_jobs_running"),
            description="Jobs under way.",
            unit="short",
            span=3,
        ),
        number(
            "Finished a minute",
            f"sum(rate(queue_jobs_total{{{CHOSEN}}}[$__rate_interval])) * 60",
            description="Jobs that ended, however they ended.",
            unit="short",
            span=3,
            decimals=1,
        ),
        number(
            "Failed share, 1 h",
            failed_share(CHOSEN, "1h"),
            description="Which share of the jobs that ended in the last hour became dead letters.",
            unit="percentunit",
            span=3,
            decimals=1,
            steps=((None, GREEN), (0.01, YELLOW), (0.06, RED)),
        ),
        number(
            "Open dead letters",
            all_queues("queue_dead_letters", f'{QUEUE}, status="open"'),
            description="Jobs that failed for good and wait for a person: redrive them or discard them.",
            unit="short",
            span=3,
            steps=((None, GREEN), (1, YELLOW), (10, RED)),
        ),
        number(
            "Workers",
            "max(queue_workers{" + QUEUE + "})",
            description="Workers that are online and serve a queue.",
            unit="short",
            span=3,
            steps=((None, RED), (1, GREEN)),
        ),
        number(
            "Figures are old",
            "max(queue_exporter_lag_seconds)",
            description="How old the figures on this page are. It grows when the exporter cannot read the databases.",
            unit="s",
            span=3,
            steps=((None, GREEN), (30, YELLOW), (60, RED)),
        ),
    ],
)

WORK = Row(
    "Work done",
    [
        graph(
            "Finished jobs by outcome",
            Query(a_minute("queue_jobs_total", CHOSEN, "status"), "{{status}}"),
            description="Throughput: jobs that ended, a minute, by how they ended.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "New dead letters by reason",
            Query(a_minute("queue_jobs_failed_total", CHOSEN, "reason"), "{{reason}}"),
            description="Jobs that failed for good, a minute. tries: all tries spent. permanent: trying again cannot help. "
            "deadline: too late to try again. crash: its process died too often. unstartable: it could not be started at all.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Processing time",
            *percentiles(DURATION, CHOSEN),
            description="How long jobs ran, all their attempts together. Half of them stayed under p50, one in a hundred exceeded p99.",
            unit="s",
        ),
        graph(
            "Wait for a start",
            *percentiles(WAIT, CHOSEN),
            description="From the moment a job was due to its first start. Grows when slots are short.",
            unit="s",
        ),
    ],
)

QUEUES = Row(
    "Queues",
    [
        lines(
            "Queues now",
            ["queue"],
            [
                Column("Waiting", now("queue_jobs_waiting")),
                Column(
                    "Oldest",
                    now("queue_oldest_waiting_seconds"),
                    unit="s",
                    steps=((None, GREEN), (300, YELLOW), (900, RED)),
                ),
                Column("Running", now("queue_jobs_running")),
                Column("Retrying", now("queue_jobs_retrying")),
                Column("Scheduled", now("queue_jobs_scheduled")),
                Column("Workers", now("queue_workers"), steps=((None, RED), (1, GREEN))),
                Column(
                    "Dead letters",
                    now("queue_dead_letters", f'{QUEUE}, status="open"'),
                    steps=((None, GREEN), (1, YELLOW), (10, RED)),
                ),
                Column("State", now("queue_paused"), words=(("0", "runs", GREEN), ("1", "paused", ORANGE))),
            ],
            description="One line a queue; its name opens its own dashboard.",
            height=6,
            link=("queue", "redrive-queue"),
        ),
        graph(
            "Depth",
            Query(now("queue_jobs_waiting"), "{{queue}}"),
            description="Jobs that are due and have not started, by queue.",
            unit="short",
            span=8,
        ),
        graph(
            "Oldest waiting job",
            Query(now("queue_oldest_waiting_seconds"), "{{queue}}"),
            description="For how long the longest waiting job of each queue has been due.",
            unit="s",
            span=8,
        ),
        graph(
            "Workers by queue",
            Query(now("queue_workers"), "{{queue}}"),
            description="Workers online for each queue.",
            unit="short",
            span=8,
            reduce=("lastNotNull", "min"),
        ),
        states(
            "Pauses",
            Query(now("queue_paused"), "{{queue}}"),
            description="When a queue took jobs and started none, because somebody paused it.",
            words=PAUSED,
        ),
    ],
)

JOB_TYPES = Row(
    "Job types",
    [
        lines(
            "Job types in this time",
            ["job"],
            [
                Column("Finished", in_range("queue_jobs_total", CHOSEN, "job"), decimals=0),
                Column("Dead", in_range("queue_jobs_failed_total", CHOSEN, "job"), decimals=0),
                Column(
                    "Failed share",
                    failed_share(CHOSEN, "$__range", "job"),
                    unit="percentunit",
                    decimals=1,
                    steps=((None, GREEN), (0.01, YELLOW), (0.06, RED)),
                ),
                Column("Retries", in_range("queue_job_retries_total", CHOSEN, "job"), decimals=0),
                Column("Processing p95", percentile(0.95, DURATION, CHOSEN, "$__range", "job"), unit="s"),
                Column("Wait p95", percentile(0.95, WAIT, CHOSEN, "$__range", "job"), unit="s"),
            ],
            description="What each job type did in the time chosen above; its name opens its own dashboard.",
            link=("job", "redrive-job-type"),
            sort="Finished",
        ),
    ],
)

PAGE = Page(
    uid="redrive-overview",
    title="Overview",
    description="Is work being done, does any wait too long, does any need a person?",
    variables=(queues(), job_types()),
    links=(prefect_link("Runs in Prefect", "/runs"),),
    rows=(NOW, WORK, QUEUES, JOB_TYPES),
)
