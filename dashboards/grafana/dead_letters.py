"""Dead letters: how many wait for a person, since when, of what, and what came of the others."""

from __future__ import annotations

from redrive.dashboards.grafana.page import Page, Row, job_types, prefect_link, queues
from redrive.dashboards.grafana.panels import BLUE, GREEN, RED, YELLOW, Query, bars, graph, number
from redrive.dashboards.grafana.queries import CHOSEN, QUEUE, a_minute, all_queues, failed_share, in_range, now
from redrive.dashboards.grafana.tables import Column, lines

OPEN = f'{QUEUE}, status="open"'

NOW = Row(
    "Now",
    [
        number(
            "Open",
            all_queues("queue_dead_letters", OPEN),
            description="Wait for a person. `redrive dead groups` shows them by cause.",
            unit="short",
            span=4,
            steps=((None, GREEN), (1, YELLOW), (10, RED)),
        ),
        number(
            "Oldest open",
            f"max(queue_dead_letter_oldest_seconds{{{QUEUE}}})",
            description="For how long nobody has acted on the oldest.",
            unit="s",
            span=4,
            steps=((None, GREEN), (4 * 3600, YELLOW), (24 * 3600, RED)),
        ),
        number(
            "New in this time",
            in_range("queue_jobs_failed_total", CHOSEN),
            description="Jobs that failed for good in the time chosen above.",
            unit="short",
            span=4,
            decimals=0,
        ),
        number(
            "Redriven, not done yet",
            all_queues("queue_dead_letters", f'{QUEUE}, status="redriven"'),
            description="Run again, and not completed yet.",
            unit="short",
            span=4,
            steps=((None, BLUE),),
        ),
        number(
            "Resolved",
            all_queues("queue_dead_letters", f'{QUEUE}, status="resolved"'),
            description="Their job completed after all. Kept for REDRIVE_KEEP_DAYS.",
            unit="short",
            span=4,
            steps=((None, GREEN),),
        ),
        number(
            "Discarded",
            all_queues("queue_dead_letters", f'{QUEUE}, status="discarded"'),
            description="Somebody decided that nobody needs them any more. Kept for REDRIVE_KEEP_DAYS.",
            unit="short",
            span=4,
            steps=((None, "text"),),
        ),
    ],
)

COURSE = Row(
    "Course",
    [
        graph(
            "Open by queue",
            Query(now("queue_dead_letters", OPEN), "{{queue}}"),
            description="Falls when somebody acts, not when time passes.",
            unit="short",
            stacked=True,
        ),
        graph(
            "Oldest open by queue",
            Query(now("queue_dead_letter_oldest_seconds"), "{{queue}}"),
            description="A line that climbs is a queue that nobody looks after.",
            unit="s",
        ),
        graph(
            "New by reason",
            Query(a_minute("queue_jobs_failed_total", CHOSEN, "reason"), "{{reason}}"),
            description="tries: all tries spent. permanent: trying again cannot help. deadline: too late to try again. "
            "crash: its process died too often. unstartable: it could not be started at all.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
        graph(
            "The ledger by status",
            Query(f"sum by (status) ({now('queue_dead_letters', QUEUE, 'queue, status')})", "{{status}}"),
            description="All rows of the ledger: what waits, what was run again, what came of it.",
            unit="short",
            stacked=True,
        ),
        graph(
            "Failed share by queue",
            Query(failed_share(CHOSEN, "$__rate_interval", "queue"), "{{queue}}"),
            description="Which share of the jobs that ended became dead letters.",
            unit="percentunit",
            most=1,
        ),
        bars(
            "Reasons in this time",
            in_range("queue_jobs_failed_total", CHOSEN, "reason"),
            "{{reason}}",
            description="What jobs fail of.",
            unit="short",
        ),
        lines(
            "Which job types fail of what, in this time",
            ["queue", "job", "reason"],
            [
                Column(
                    "Dead letters",
                    f"{in_range('queue_jobs_failed_total', CHOSEN, 'queue, job, reason')} > 0",
                    decimals=0,
                )
            ],
            description="Lines with dead letters only. Their causes: `redrive dead groups --job JOB`.",
            link=("job", "redrive-job-type"),
            sort="Dead letters",
        ),
    ],
)

PAGE = Page(
    uid="redrive-dead-letters",
    title="Dead letters",
    description="How many jobs wait for a person, since when, of what, and what came of the others.",
    variables=(queues(), job_types()),
    links=(
        prefect_link("Runs in Prefect", "/runs"),
        prefect_link("Deployments in Prefect (dead-letter-review)", "/deployments"),
    ),
    span="now-24h",
    rows=(NOW, COURSE),
)
