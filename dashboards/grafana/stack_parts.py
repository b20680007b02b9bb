"""What jobs run on: the keeper, the exporter itself, Prefect's server, PostgreSQL and Redis."""

from __future__ import annotations

from redrive.dashboards.grafana.page import Page, Row, prefect_link
from redrive.dashboards.grafana.panels import GREEN, RED, YELLOW, Query, graph, number
from redrive.deployments.health.keeper_health import TITLES

UP = {"0": ("down", RED), "1": ("up", GREEN)}

#: Scrape jobs, as in infra/prometheus/prometheus.yml.
EXPORTER = 'job="redrive"'
PREFECT = 'job="prefect"'
#: The age of each duty, under the name that people read.
_DUTIES = "max by (duty) (queue_keeper_duty_age_seconds)"
for _name, _title in TITLES.items():
    _DUTIES = f'label_replace({_DUTIES}, "duty", "{_title}", "duty", "{_name}")'


NOW = Row(
    "Now",
    [
        number(
            "Exporter",
            "max(queue_exporter_up)",
            description="Whether the exporter reaches Prefect and the ledger. If not, the queue figures stand still.",
            unit="short",
            span=3,
            words=UP,
        ),
        *(
            number(
                title,
                f'min(redrive_platform_up{{part="{part}"}})',
                description=description,
                unit="short",
                span=3,
                words=UP,
            )
            for title, part, description in (
                ("Prefect", "prefect", "Whether Prefect's server answers and reaches its database."),
                ("PostgreSQL", "postgres", "Whether the database of the ledger answers."),
                ("Redis", "redis", "Whether Redis (Valkey) answers. No job is lost without it."),
            )
        ),
        number(
            "Figures are old",
            "max(queue_exporter_lag_seconds)",
            description="How long ago every finished job was counted.",
            unit="s",
            span=3,
            steps=((None, GREEN), (30, YELLOW), (60, RED)),
        ),
        number(
            "Prefect answers in",
            'max(redrive_platform_answer_seconds{part="prefect"})',
            description="How long the server took to say that it is ready, database included.",
            unit="s",
            span=3,
            decimals=3,
            steps=((None, GREEN), (0.5, YELLOW), (2, RED)),
        ),
        number(
            "Databases",
            "sum(max by (database) (redrive_postgres_size_bytes))",
            description="Size of Redrive's databases together.",
            unit="bytes",
            span=3,
        ),
        number(
            "Connections",
            "sum(max by (state) (redrive_postgres_connections)) / max(redrive_postgres_connections_limit)",
            description="Which share of PostgreSQL's connections is taken.",
            unit="percentunit",
            span=3,
            steps=((None, GREEN), (0.7, YELLOW), (0.9, RED)),
        ),
    ],
)

#: As `deployments/dead_letters/ledger/duties.py` reckons it: older than a minute, and than three of its own rounds.
LATE = (
    "count(max by (duty) (queue_keeper_duty_age_seconds) "
    "> clamp_min(3 * max by (duty) (queue_keeper_duty_every_seconds), 60)) or vector(0)"
)

KEEPER = Row(
    "The keeper",
    [
        number(
            "Duties late",
            LATE,
            description="Duties that no keeper has done within three of their rounds (a minute at least). `redrive check` names them.",
            unit="short",
            span=8,
            steps=((None, GREEN), (1, RED)),
        ),
        number(
            "Uncollected failures",
            "max(queue_uncollected_failures)",
            description="Failed jobs that the latest audit found and could not put into the ledger.",
            unit="short",
            span=8,
            steps=((None, GREEN), (1, RED)),
        ),
        number(
            "Found by the audit",
            "round(max(increase(queue_audit_found_total[$__range])))",
            description="Failed jobs that reached the ledger only by the audit, in the time of the dashboard.",
            unit="short",
            span=8,
            steps=((None, GREEN), (1, YELLOW)),
        ),
        graph(
            "Age of the duties",
            Query(_DUTIES, "{{duty}}"),
            description="How long ago any keeper last did each. Lines that climb together: the keeper is stopped, frozen or hangs.",
            unit="s",
        ),
        graph(
            "Rescues",
            Query("sum by (queue) (rate(queue_jobs_rescued_total[$__rate_interval])) * 60", "{{queue}}"),
            description="Jobs reclaimed from dead processes and workers, a minute.",
            unit="cpm",
            stacked=True,
            reduce=("mean", "max"),
        ),
    ],
)

EXPORTER_ROW = Row(
    "The exporter",
    [
        graph(
            "Age of the figures",
            Query("max(queue_exporter_lag_seconds)", "lag"),
            description="How long ago every finished job was counted. A climbing line: the exporter cannot read.",
            unit="s",
            span=8,
            limit=60,
        ),
        graph(
            "A scrape",
            Query(f"max(scrape_duration_seconds{{{EXPORTER}}})", "seconds"),
            description="How long Prometheus waits for the figures. It asks nobody else, so it does not grow with the backlog.",
            unit="s",
            span=8,
        ),
        graph(
            "Series",
            Query(f"sum(scrape_samples_scraped{{{EXPORTER}}})", "series"),
            description="How many series the exporter tells. It grows with queues and job types, never with jobs.",
            unit="short",
            span=8,
        ),
        graph(
            "Processor",
            Query(f"max(rate(process_cpu_seconds_total{{{EXPORTER}}}[$__rate_interval]))", "exporter"),
            Query(f"max(rate(process_cpu_seconds_total{{{PREFECT}}}[$__rate_interval]))", "prefect"),
            description="Cores taken by the exporter and by Prefect's server.",
            unit="percentunit",
        ),
        graph(
            "Memory",
            Query(f"max(process_resident_memory_bytes{{{EXPORTER}}})", "exporter"),
            Query(f"max(process_resident_memory_bytes{{{PREFECT}}})", "prefect"),
            description="Memory of the exporter and of Prefect's server.",
            unit="bytes",
        ),
    ],
)

SERVERS = Row(
    "Prefect, PostgreSQL, Redis",
    [
        graph(
            "Time to answer",
            Query("max by (part) (redrive_platform_answer_seconds)", "{{part}}"),
            description="How long each took to answer the exporter's question whether it is there.",
            unit="s",
        ),
        graph(
            "Open files of Prefect's server",
            Query(f"max(process_open_fds{{{PREFECT}}})", "open"),
            Query(f"max(process_max_fds{{{PREFECT}}})", "limit"),
            description="Every worker and browser holds some. At the limit the server takes no more.",
            unit="short",
        ),
        graph(
            "Size of the databases",
            Query("max by (database) (redrive_postgres_size_bytes)", "{{database}}"),
            description="What Prefect keeps is pruned after REDRIVE_KEEP_DAYS; a line that climbs for longer wants looking at.",
            unit="bytes",
            stacked=True,
        ),
        graph(
            "Connections to PostgreSQL",
            Query("max by (state) (redrive_postgres_connections)", "{{state}}"),
            Query("max(redrive_postgres_connections_limit)", "limit"),
            description="By what they do. Many that are idle in a transaction hold locks.",
            unit="short",
        ),
        graph(
            "Transactions",
            Query("max by (database) (rate(redrive_postgres_transactions_total[$__rate_interval]))", "{{database}}"),
            description="Transactions a second, by database.",
            unit="ops",
        ),
        graph(
            "Memory of Redis",
            Query("max(redrive_redis_memory_bytes)", "used"),
            description="What Redis (Valkey) holds.",
            unit="bytes",
        ),
    ],
)

PAGE = Page(
    uid="redrive-platform",
    title="Platform",
    description="What jobs run on: the keeper, the exporter itself, Prefect's server, PostgreSQL and Redis.",
    links=(prefect_link("Prefect", "/dashboard"),),
    rows=(NOW, KEEPER, EXPORTER_ROW, SERVERS),
)
