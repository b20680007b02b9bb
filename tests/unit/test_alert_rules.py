"""Each alert fires when it should and is quiet when it should be, by the real promtool over made-up time series."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from redrive.dashboards.alerts.rules import document
from redrive.dashboards.alerts.thresholds import FILE, Thresholds
from redrive.infra.cli.main import app
from tests.support.prometheus import run_tool

RULES = FILE.with_name("rules.yaml")
LONG = 600  # minutes a series goes on: longer than any scenario


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


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


SCENARIOS = [
    Scenario("an idle night is quiet", {}, {1: set(), 60: set(), 480: set()}),
    Scenario(
        "jobs scheduled for later are no backlog",
        {of("jobs_scheduled"): steady(50_000), of("jobs_retrying"): steady(900)},
        {60: set(), 180: set()},
    ),
    Scenario(
        "a morning's first job after an idle night is quiet",
        {
            of("jobs_waiting"): then(steady(0), 300, "1+0x2 0+0x100"),
            of("oldest_waiting_seconds"): then(steady(0), 300, "0+60x2 0+0x100"),
        },
        {301: set(), 303: set(), 310: set()},
    ),
    Scenario(
        "depth: fires after its time and clears when the queue is worked off",
        {of("jobs_waiting"): then(steady(1001), 30, steady(999))},
        {14: set(), 16: {"RedriveQueueDeep default"}, 29: {"RedriveQueueDeep default"}, 31: set()},
    ),
    Scenario("depth: a queue's own threshold holds", {of("jobs_waiting", "low"): steady(9_999)}, {60: set()}),
    Scenario(
        "oldest waiting: the more urgent queue is told of first",
        {
            of("oldest_waiting_seconds", "high"): growing(60),
            of("oldest_waiting_seconds", "default"): growing(60),
            of("last_finished_timestamp_seconds", "high"): growing(60),
            of("last_finished_timestamp_seconds", "default"): growing(60),
        },
        {
            10: set(),
            12: {"RedriveOldestWaiting high"},
            22: {"RedriveOldestWaiting high", "RedriveOldestWaiting default"},
        },
    ),
    Scenario(
        "a queue that nobody named in the thresholds has them all the same",
        {
            of("oldest_waiting_seconds", "night"): growing(60),
            of("last_finished_timestamp_seconds", "night"): growing(60),
        },
        {22: {"RedriveOldestWaiting night"}},
    ),
    Scenario(
        "waiting jobs of a paused queue are quiet, the forgotten pause is not",
        {
            of("jobs_waiting"): steady(5_000),
            of("oldest_waiting_seconds"): growing(60),
            of("paused"): then(steady(1), 200, steady(0)),
            of("paused_seconds"): then(growing(60), 200, steady(0)),
            of("last_finished_timestamp_seconds"): growing(60),
        },
        {60: set(), 119: set(), 123: {"RedrivePausedTooLong default"}, 207: {"RedriveOldestWaiting default"}},
    ),
    Scenario(
        "no worker: fires for the queue with work, not for idle ones",
        {of("jobs_waiting"): then(steady(3), 30, steady(0))}
        | {of("workers", queue): steady(0) for queue in ("high", "default", "low")},
        {1: set(), 3: {"RedriveNoWorker default"}, 29: {"RedriveNoWorker default"}, 30: set()},
    ),
    Scenario(
        "no worker: a figure that is missing is no worker either",
        {of("jobs_waiting"): steady(3), of("workers"): None},
        {3: {"RedriveNoWorker default"}},
    ),
    Scenario("no worker: one that serves the queue is enough", {of("jobs_waiting"): steady(3)}, {60: set()}),
    Scenario(
        "nothing finished: fires while work is due, ends with the first job that does",
        {
            of("jobs_waiting"): steady(4),
            of("oldest_waiting_seconds"): growing(60),
            of("last_finished_timestamp_seconds"): then(steady(0), 60, growing(60, 3600)),
        },
        {
            29: {"RedriveOldestWaiting default"},
            34: {"RedriveOldestWaiting default", "RedriveNothingFinished default"},
            61: {"RedriveOldestWaiting default"},
        },
    ),
    Scenario(
        "nothing finished: a queue that never finished anything counts",
        {
            of("oldest_waiting_seconds"): growing(60),
            of("last_finished_timestamp_seconds"): None,
        },
        {34: {"RedriveOldestWaiting default", "RedriveNothingFinished default"}},
    ),
    Scenario(
        "paused too long: each queue by its own patience",
        {of("paused_seconds", queue): growing(60) for queue in ("high", "default", "low")},
        {
            14: set(),
            18: {"RedrivePausedTooLong high"},
            123: {"RedrivePausedTooLong high", "RedrivePausedTooLong default"},
        },
    ),
    Scenario(
        "failure rate: a fast burn is critical within minutes and ends soon after the failures do",
        {DONE: growing(2), DEAD: then(growing(1), 30, steady(29)), FAILED: then(growing(1), 30, steady(29))},
        {
            2: set(),
            10: {"RedriveFailureRate default 1h", "RedriveFailureRate default 6h"},
            29: {"RedriveFailureRate default 1h", "RedriveFailureRate default 6h"},
            # Failures ended; 5 minutes later the short window is clean, half an hour later the longer one.
            36: {"RedriveFailureRate default 6h"},
            62: set(),
        },
    ),
    Scenario(
        "failure rate: a slow burn is a warning",
        {DONE: growing(9), DEAD: growing(1), FAILED: growing(1)},
        {60: {"RedriveFailureRate default 6h"}},
    ),
    Scenario(
        "failure rate: within the budget is quiet",
        {DONE: growing(99), DEAD: growing(1), FAILED: growing(1)},
        {370: set()},
    ),
    Scenario(
        "failure rate: a single failed job of a quiet night is a dead letter, not a rate",
        {DEAD: then(steady(0), 30, steady(1)), FAILED: then(steady(7), 30, steady(8))},
        {31: set(), 35: set(), 60: set()},
    ),
    Scenario(
        "retry storm: fires while retries outnumber finished jobs, and ends with them",
        {DONE: growing(1), RETRIES: then(growing(10), 40, steady(390))},
        {5: set(), 12: {"RedriveRetryStorm default"}, 39: {"RedriveRetryStorm default"}, 56: set()},
    ),
    Scenario(
        "retry storm: when nothing finishes any more it fires too",
        {DONE: None, DEAD: None, RETRIES: growing(10)},
        {12: {"RedriveRetryStorm default"}},
    ),
    Scenario(
        "retry storm: some retries among many jobs are every day's",
        {DONE: growing(50), RETRIES: growing(10)},
        {60: set()},
    ),
    Scenario("retry storm: few retries are none", {RETRIES: growing(1)}, {60: set()}),
    Scenario(
        "dead letters: fires above its number, clears when they were acted on",
        {of("dead_letters", more=',status="open"'): then(steady(11), 30, steady(10))},
        {9: set(), 11: {"RedriveDeadLetters default"}, 31: set()},
    ),
    Scenario(
        "dead letters: closed ones do not count",
        {of("dead_letters", more=',status="discarded"'): steady(5_000)},
        {60: set()},
    ),
    Scenario(
        "an old dead letter is told of, and no more once it is closed",
        {of("job_dead_letter_oldest_seconds", "high", ',job="sync"'): then(growing(60), 300, "_x400")},
        {240: set(), 247: {"RedriveDeadLetterOld high"}, 306: set()},
    ),
    Scenario(
        "an old dead letter: a job type with a patience of its own is told of by that, and by no other",
        {of("job_dead_letter_oldest_seconds", queue, ',job="reports"'): growing(60) for queue in ("high", "default")},
        {
            239: set(),
            247: {"RedriveDeadLetterOld high reports", "RedriveDeadLetterOld default reports"},
            599: {"RedriveDeadLetterOld high reports", "RedriveDeadLetterOld default reports"},
        },
    ),
    Scenario(
        "an old dead letter: each queue by its own patience",
        {
            of("job_dead_letter_oldest_seconds", "default", ',job="sync"'): then(steady(86_000), 30, steady(86_500)),
            of("job_dead_letter_oldest_seconds", "low", ',job="sync"'): then(steady(259_000), 30, steady(260_000)),
        },
        {29: set(), 34: set(), 36: {"RedriveDeadLetterOld default", "RedriveDeadLetterOld low"}},
    ),
    Scenario(
        "an old dead letter: that of an urgent job type is no matter of its queue",
        {
            of("job_dead_letter_oldest_seconds", queue, ',job="reports"'): steady(10**6)
            for queue in ("high", "default", "low")
        },
        {10: {f"RedriveDeadLetterOld {queue} reports" for queue in ("high", "default", "low")}},
    ),
    Scenario(
        "oldest running: a queue of long jobs has a long patience",
        {of("oldest_running_seconds", "low"): then(steady(86_000), 30, steady(86_500))},
        {29: set(), 34: set(), 36: {"RedriveOldestRunning low"}},
    ),
    Scenario(
        "rescue storm: fires while rescues outnumber what finishes, and ends with them",
        {DONE: growing(1), RESCUES: then(growing(3, 20), 40, steady(137))},
        {2: set(), 6: {"RedriveRescueStorm default"}, 39: {"RedriveRescueStorm default"}, 56: set()},
    ),
    Scenario(
        "rescue storm: when nothing finishes any more it fires too",
        {DONE: None, DEAD: None, RESCUES: growing(1)},
        {12: {"RedriveRescueStorm default"}},
    ),
    Scenario(
        "rescue storm: some rescues among many jobs are a machine that was restarted",
        {DONE: growing(10), RESCUES: growing(1)},
        {60: set()},
    ),
    Scenario("rescue storm: few rescues are none", {RESCUES: then(steady(20), 30, steady(24))}, {32: set(), 60: set()}),
    Scenario(
        "not starting: a claimed job that does not start is told of, and no more once it does",
        {of("oldest_starting_seconds", "low"): then(growing(60), 10, steady(0))},
        {0: set(), 2: {"RedriveNotStarting low"}, 9: {"RedriveNotStarting low"}, 10: set()},
    ),
    Scenario(
        "not starting: jobs that wait a moment for their process are quiet",
        {of("oldest_starting_seconds"): steady(20), of("jobs_starting"): steady(50)},
        {60: set()},
    ),
    Scenario(
        "oldest running: each queue by its own patience, and no more once it ended",
        {
            of("oldest_running_seconds", queue): then(growing(60), 420, steady(5))
            for queue in ("high", "default", "low")
        },
        {
            60: set(),
            67: {"RedriveOldestRunning high"},
            364: {"RedriveOldestRunning high"},
            367: {"RedriveOldestRunning high", "RedriveOldestRunning default"},
            420: set(),
        },
    ),
    Scenario(
        "keeper: a duty that nobody does is told of, and no more once somebody does it",
        {RESCUE_AGE: then(growing(60), 20, steady(3))},
        {2: set(), 4: {"RedriveKeeperLate rescue"}, 19: {"RedriveKeeperLate rescue"}, 20: set()},
    ),
    Scenario(
        "keeper: a duty that comes every ten minutes is late after half an hour",
        {AUDIT_AGE: growing(60)},
        {29: set(), 32: {"RedriveKeeperLate audit"}},
    ),
    Scenario(
        "keeper: a pace that is missing hides no late duty",
        {RESCUE_AGE: growing(60), 'queue_keeper_duty_every_seconds{duty="rescue"}': None},
        {4: {"RedriveKeeperLate rescue"}},
    ),
    Scenario(
        "keeper: of two exporters the one that sees the duty old is heard",
        {
            RESCUE_AGE: None,
            'queue_keeper_duty_age_seconds{duty="rescue",instance="a"}': steady(3),
            'queue_keeper_duty_age_seconds{duty="rescue",instance="b"}': growing(60),
        },
        {4: {"RedriveKeeperLate rescue"}},
    ),
    Scenario(
        "keeper: none that ever worked is told of",
        {RESCUE_AGE: None, AUDIT_AGE: None},
        {0: set(), 1: {"RedriveKeeperLate all"}},
    ),
    Scenario(
        "keeper: an exporter that cannot read the ledger is no missing keeper",
        {RESCUE_AGE: None, AUDIT_AGE: None, "queue_exporter_up": steady(0)},
        {10: {"RedriveExporterBlind"}},
    ),
    Scenario(
        "uncollected failures are told of until they are in the ledger",
        {"queue_uncollected_failures": then(steady(2), 30, steady(0))},
        {9: set(), 11: {"RedriveUncollected"}, 30: set()},
    ),
    Scenario(
        "finds of the audit are told of for an hour",
        {"queue_audit_found_total": then(steady(12), 10, steady(15))},
        {9: set(), 11: {"RedriveAuditFound"}, 60: {"RedriveAuditFound"}, 72: set()},
    ),
    Scenario(
        "schedule: fires for the job type that did not start, clears when it did",
        {'queue_schedule_overdue_seconds{job="sync"}': then(growing(60), 30, steady(0))},
        {10: set(), 13: {"RedriveScheduleMissed sync"}, 31: set()},
    ),
    Scenario(
        "exporter down: silence of all its figures is one alert",
        dict.fromkeys(QUIET) | {'up{job="redrive"}': then(steady(0), 30, steady(1))},
        {1: set(), 3: {"RedriveExporterDown"}, 31: set()},
    ),
    Scenario("exporter not scraped at all", dict.fromkeys(QUIET), {3: {"RedriveExporterDown"}}),
    Scenario(
        "exporter blind: it answers and cannot read",
        {"queue_exporter_up": then(steady(0), 30, steady(1))},
        {0: set(), 2: {"RedriveExporterBlind"}, 31: set()},
    ),
    Scenario(
        "exporter lag: old figures are told of",
        {"queue_exporter_lag_seconds": then(growing(60), 30, steady(1))},
        {3: set(), 5: {"RedriveExporterLag"}, 31: set()},
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_alerts_fire_exactly_when_they_should(scenario: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(promtool_test(scenario, RULES), allow_unicode=True))

    done = run_tool("promtool", "test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_scenario_in_which_it_fires() -> None:
    fired = {name.partition(" ")[0] for one in SCENARIOS for names in one.firing.values() for name in names}

    assert {rule["alert"] for rule in rules()} == fired


def test_the_committed_rules_are_those_of_the_thresholds() -> None:
    assert RULES.read_text() == document(Thresholds.read()), "run `python -m redrive.dashboards.alerts`"


def test_promtool_accepts_the_rules() -> None:
    done = run_tool("promtool", "check", "rules", RULES)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_expression_is_promql() -> None:
    for rule in rules():
        promql_parser.parse(rule["expr"])


def test_every_alert_has_a_runbook_section() -> None:
    headings = re.findall(r"^## (\w+)$", FILE.with_name("runbooks.md").read_text(), re.MULTILINE)
    named = {rule["annotations"]["runbook"].rpartition(" ")[2] for rule in rules()}

    assert set(headings) == named == {rule["alert"] for rule in rules()}


def test_every_alert_carries_the_first_step_of_its_runbook() -> None:
    for rule in rules():
        step = rule["annotations"]["first_step"]
        assert "`redrive " in step, rule["alert"]
        assert not re.search(r"\b(QUEUE|JOB|DUTY)\b", step), step
        assert "](" not in step, step


def test_no_link_of_an_alert_is_relative() -> None:
    with_address = Thresholds.read().model_dump(by_alias=True, mode="json")
    with_address["links"]["runbooks"] = "https://wiki.example.com/redrive"
    made = yaml.safe_load(document(Thresholds.model_validate(with_address)))
    of_all = [*rules(), *(rule for group in made["groups"] for rule in group["rules"])]
    links = [(rule["alert"], key, url) for rule in of_all for key, url in rule["annotations"].items() if "_url" in key]

    for alert, key, url in links:
        assert url.startswith(("http://", "https://")), (alert, key, url)
    linked = {url.partition("#")[2] for _, key, url in links if key == "runbook_url"}
    assert linked == {rule["alert"].lower() for rule in rules()}


def test_every_command_in_alerts_and_runbooks_exists() -> None:
    texts = [text for rule in rules() for text in rule["annotations"].values()]
    texts.append(FILE.with_name("runbooks.md").read_text())
    commands = {found for text in texts for found in re.findall(r"`redrive ([^`]+)`", text)}

    assert len(commands) > 10
    for command in sorted(commands):
        words = shlex.split(re.sub(r"\{\{.*?\}\}", "default", command))
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert "`redrive " in rule["annotations"]["summary"], rule["alert"]


def promtool_test(scenario: Scenario, rules: Path) -> dict[str, Any]:
    """A scenario in promtool's own form."""
    series = {name: values for name, values in (QUIET | scenario.series).items() if values is not None}
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname, queue, job, window, duty) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": _labels(name), "value": 1} for name in sorted(names)],
                    }
                    for minute, names in scenario.firing.items()
                ],
            }
        ],
    }


#: Labels that the words after an alert's name stand for.
TOLD_APART_BY = {
    "RedriveScheduleMissed": ("job",),
    "RedriveKeeperLate": ("duty",),
    "RedriveDeadLetterOld": ("queue", "job"),
}


def _labels(name: str) -> str:
    alert, *more = name.split()
    values = {"alertname": alert} | dict(zip(TOLD_APART_BY.get(alert, ("queue", "window")), more, strict=False))
    return "{" + ",".join(f'{label}="{value}"' for label, value in values.items()) + "}"
