"""The PromQL that several dashboards ask, written once.

Danger: a rate needs `$__rate_interval`, which Grafana makes at least four scrapes long; with a shorter one lines have holes.
"""

from __future__ import annotations

from redrive.dashboards.grafana.panels import Query

#: The choice on top of the dashboard.
CHOSEN = 'queue=~"$queue", job=~"$job"'
QUEUE = 'queue=~"$queue"'
JOB = 'job=~"$job"'


def now(metric: str, where: str = QUEUE, by: str = "queue") -> str:
    """A gauge by a label. Several exporters tell the same, so the highest is the figure."""
    return f"max by ({by}) ({metric}{{{where}}})"


def all_queues(metric: str, where: str = QUEUE) -> str:
    """A gauge over the queues together."""
    return f"sum({now(metric, where)})"


def a_minute(counter: str, where: str, by: str) -> str:
    """How fast a counter grows, a minute."""
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval])) * 60"


def in_range(counter: str, where: str, by: str = "") -> str:
    """How much a counter grew in the time of the dashboard."""
    return f"sum{f' by ({by})' if by else ''} (increase({counter}{{{where}}}[$__range]))"


def failed_share(where: str, window: str, by: str = "") -> str:
    """Which share of the finished jobs became dead letters; 0 where none finished."""
    group = f" by ({by})" if by else ""
    dead = f"sum{group} (increase(queue_jobs_failed_total{{{where}}}[{window}]))"
    done = f"sum{group} (increase(queue_jobs_total{{{where}}}[{window}]))"
    return f"{dead} / ({done} > 0) or {done} * 0"


def percentiles(histogram: str, where: str) -> tuple[Query, ...]:
    """Median, and what one in twenty and one in a hundred exceed."""
    return tuple(Query(percentile(share, histogram, where), f"p{round(share * 100)}") for share in (0.5, 0.95, 0.99))


def percentile(share: float, histogram: str, where: str, window: str = "$__rate_interval", by: str = "") -> str:
    """What that share of the jobs stayed under, seconds."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{{{where}}}[{window}])))"


def share_of_time(by: str, window: str, where: str = JOB) -> str:
    """Which part of the time that attempts ran was spent in each step."""
    steps = f"rate({STEP}_sum{{{where}}}[{window}])"
    runs = f"rate(queue_job_attempt_seconds_sum{{{where}}}[{window}])"
    return f"sum by ({by}) ({steps}) / scalar(sum({runs}) > 0)"


DURATION = "queue_jobs_processing_duration_seconds"
WAIT = "queue_jobs_wait_seconds"
TRIES = "queue_job_tries"
STEP = "queue_job_step_seconds"
