"""The rules file, and the alerts that belong to no queue: schedules and the exporter itself; the keeper has a file of its own."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from redrive.dashboards.alerts.budget_rules import budget_rules
from redrive.dashboards.alerts.keeper_rules import keeper_rules
from redrive.dashboards.alerts.limits import seconds
from redrive.dashboards.alerts.queue_rules import queue_rules
from redrive.dashboards.alerts.rule import Rule, rule
from redrive.dashboards.alerts.thresholds import Thresholds

#: Name of the scrape job in infra/prometheus/prometheus.yml.
SCRAPE_JOB = "redrive"

_HEAD = """\
# Made from thresholds.yaml by `python -m redrive.dashboards.alerts`: change that file, not this one.
"""


def document(thresholds: Thresholds) -> str:
    """The text of the rules file."""
    groups = {
        "redrive-queues": queue_rules(thresholds),
        "redrive-budgets": list(budget_rules(thresholds)),
        "redrive-schedules": [schedule_missed(thresholds)],
        "redrive-keeper": list(keeper_rules(thresholds)),
        "redrive-exporter": list(exporter_rules(thresholds)),
    }
    made = {
        "groups": [
            {"name": name, "rules": [rule.plain(thresholds) for rule in rules]}
            for name, rules in groups.items()
            if rules
        ]
    }
    return _HEAD + yaml.dump(made, Dumper=_Dumper, sort_keys=False, width=130, allow_unicode=True)


def schedule_missed(thresholds: Thresholds) -> Rule:
    """A schedule whose time passed and no job was made for it."""
    age = thresholds.schedule_missed.age
    return rule(
        "RedriveScheduleMissed",
        f"max by (job) (queue_schedule_overdue_seconds) > {seconds(age):g}",
        thresholds.schedule_missed,
        summary="Schedule of job type {{ $labels.job }}: its last time passed {{ $value | humanizeDuration }} ago "
        "and no job was made for it. "
        "Its jobs: `redrive jobs list --job {{ $labels.job }}`; `redrive check` looks at its deployment. "
        "To have the job now: `redrive enqueue {{ $labels.job }}`.",
        description=f"A job shall be there within {age} of its time; from then on its waiting is the matter of its queue. "
        "Paused schedules do not count.",
        dashboard="redrive-job-type",
        variable="job",
    )


def exporter_rules(thresholds: Thresholds) -> Iterator[Rule]:
    """Silence must not look like health: the exporter is unavailable, sees nothing, or sees the past."""
    limits = thresholds.exporter
    yield rule(
        "RedriveExporterDown",
        f'absent(up{{job="{SCRAPE_JOB}"}} == 1)',
        limits.down,
        summary="Prometheus gets no metrics of Redrive: nobody would see an outage. "
        "See why with `redrive status`; `redrive up` starts the exporter again.",
        description="The exporter does not answer, or Prometheus has no scrape job for it. "
        "Until it does, no other alert of Redrive can fire.",
        dashboard="redrive-platform",
        variable="",
    )
    yield rule(
        "RedriveExporterBlind",
        "max(queue_exporter_up) == 0",
        limits.blind,
        summary="The exporter answers but cannot read Prefect's database or the ledger: its figures stand still. "
        "`redrive check` says which does not answer; `redrive status` shows the parts.",
        description="All queue figures are those of the last time it could read.",
        dashboard="redrive-platform",
        variable="",
    )
    yield rule(
        "RedriveExporterLag",
        f"max(queue_exporter_lag_seconds) > {seconds(limits.lag.age):g}",
        limits.lag,
        summary="The exporter's figures are {{ $value | humanizeDuration }} old. "
        "`redrive status` shows whether the databases answer; the exporter's log says what it waits for.",
        description=f"Figures shall be younger than {limits.lag.age}: alerts on them come late by as much.",
        dashboard="redrive-platform",
        variable="",
    )


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as they are read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
