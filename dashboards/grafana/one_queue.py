"""One queue: what waits in it, who works it off, and how fast."""

from __future__ import annotations

from redrive.dashboards.grafana.overview import PAUSED
from redrive.dashboards.grafana.page import Page, Row, prefect_link, queues
from redrive.dashboards.grafana.panels import GREEN, ORANGE, RED, YELLOW, Query, graph, number, states
from redrive.dashboards.grafana.queries import DURATION, QUEUE, WAIT, a_minute, now, percentiles

NOW = Row(
    "Now",
    [
        number(
            "State",
            f"max(queue_paused{{{QUEUE}}})",
            description="Whether the queue starts jobs. Resume it with `redrive queues resume`.",
            unit="short",
            span=3,
            words=PAUSED,
        ),
        number(
            "Waiting",
            f"max(queue_jobs_waiting{{{QUEUE}}})",
            description="Jobs that are due and have not started.",
            unit="short",
            span=3,
        ),
        number(
            "Oldest waiting",
            f"max(queue_oldest_waiting_seconds{{{QUEUE}}})",
            description="For how long the longest waiting job has been due.",
            unit="s",
            span=3,
            steps=((None, GREEN), (300, YELLOW), (900, RED)),
        ),
        number("Running", f"max(queue_jobs_running{{{QUEUE}}})", description="Jobs under way.", unit="short", span=3),
        number(
            "Retrying",
            f"max(queue_jobs_retrying{{{QUEUE}}})",
            description="Jobs that wait for their next try; they hold no slot.",
            unit="short",
            span=3,
            steps=((None, GREEN), (10, ORANGE)),
        ),
        number(
            "Scheduled",
            f"max(queue_jobs_scheduled{{{QUEUE}}})",
            description="Jobs that are not due yet. They are no backlog.",
            unit="short",
            span=3,
        ),
        number(
            "Workers",
            f"max(queue_workers{{{QUEUE}}})",
            description="Workers that are online and serve this queue.",
            unit="short",
            span=3,
            steps=((None, RED), (1, GREEN)),
        ),
        number(
            "Last finished",
            f"time() - max(queue_last_finished_timestamp_seconds{{{QUEUE}}})",
            description="How long ago a job of this queue ended last. Long is fine while nothing waits.",
            unit="s",
            span=3,
        ),
    ],
)

BACKLOG = Row(
    "Backlog",
    [
        graph(
            "Jobs by state",
            *(Query(f"max(queue_jobs_{state}{{{QUEUE}}})", state) for state in ("running", "waiting", "retrying")),
            description="Jobs that are under way, due, or waiting for their next try.",
            unit="short",
            stacked=True,
        ),
        graph(
            "Oldest waiting job",
            Query(f"max(queue_oldest_waiting_seconds{{{QUEUE}}})", "oldest"),
            description="For how long the longest waiting job has been due.",
            unit="s",
        ),
        graph(
            "Wait for a start",
            *percentiles(WAIT, QUEUE),
            description="From the moment a job was due to its first start.",
            unit="s",
        ),
        graph(
            "Scheduled for later",
            Query(f"max(queue_jobs_scheduled{{{QUEUE}}})", "scheduled"),
            description="Jobs with a time that has not come.",
            unit="short",
        ),
        states(
            "Pauses",
            Query(now("queue_paused"), "{{queue}}"),
            description="When the queue took jobs and started none, because somebody paused it.",
            words=PAUSED,
            height=4,
        ),
    ],
)

WORK = Row(
    "Work done",
    [
        graph(
            "Finished by job type",
            Query(a_minute("queue_jobs_total", QUEUE, "job"), "{{job}}"),
            description="Jobs that ended, a minute, by job type.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Finished by outcome",
            Query(a_minute("queue_jobs_total", QUEUE, "status"), "{{status}}"),
            description="Jobs that ended, a minute, by how they ended.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Processing time",
            *percentiles(DURATION, QUEUE),
            description="How long jobs ran, all their attempts together.",
            unit="s",
        ),
        graph(
            "Slots",
            *(Query(f'max(queue_worker_slots{{{QUEUE}, status="{status}"}})', status) for status in ("busy", "free")),
            description="Slots of the workers that say so: busy with jobs of this queue, or free for it and for their other queues. "
            "Redrive's own worker says so, Prefect's `process` worker does not.",
            unit="short",
            stacked=True,
        ),
        graph(
            "Longest under way",
            Query(f"max(queue_oldest_running_seconds{{{QUEUE}}})", "running"),
            Query(f"max(queue_oldest_starting_seconds{{{QUEUE}}})", "starting"),
            description="For how long the attempt that runs for longest has run, and how long ago the job that has been starting "
            "for longest was claimed. A worker that claims jobs and does not start them shows in the second.",
            unit="s",
        ),
        graph(
            "Rescues by job type",
            Query(a_minute("queue_jobs_rescued_total", QUEUE, "job"), "{{job}}"),
            description="Jobs reclaimed from dead processes and workers, a minute.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "Retries by job type",
            Query(a_minute("queue_job_retries_total", QUEUE, "job"), "{{job}}"),
            description="Tries that failed and were followed by another, a minute.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "New dead letters by job type",
            Query(a_minute("queue_jobs_failed_total", QUEUE, "job"), "{{job}}"),
            description="Jobs that failed for good, a minute.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
    ],
)

PAGE = Page(
    uid="redrive-queue",
    title="Queue",
    description="One queue: what waits in it, who works it off, and how fast.",
    variables=(queues(several=False),),
    links=(prefect_link("The queue in Prefect", "/work-pools/work-pool/jobs/queue/$queue"),),
    rows=(NOW, BACKLOG, WORK),
)
