"""Each alert fires when it should and is quiet when it should be, by the real promtool over made-up time series."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from redrive.dashboards.alerts.rules import document
from redrive.dashboards.alerts.thresholds import FILE, Thresholds
from redrive.dashboards.console.pages.runbooks import _text, router
from redrive.infra.cli.main import app
from tests.support.alert_scenarios_budgets import OF_BUDGETS
from tests.support.alert_scenarios_jobs import OF_JOBS, OF_THE_STACK
from tests.support.alert_scenarios_queues import OF_QUEUES
from tests.support.alert_series import QUIET, Scenario
from tests.support.prometheus import run_tool

RULES = FILE.with_name("rules.yaml")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


SCENARIOS = [*OF_QUEUES, *OF_JOBS, *OF_BUDGETS, *OF_THE_STACK]


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


def test_link_of_every_alert_leads_to_its_section_in_the_console() -> None:
    linked = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules()}
    page = str(_text())

    for alert, url in linked.items():
        place, _, section = url.partition("#")
        assert place.endswith(router.url_path_for("runbooks"))
        assert f'<h2 id="{section}">{alert}</h2>' in page


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
    **dict.fromkeys(("RedriveJobSlow", "RedriveJobWaits", "RedriveJobFails", "RedriveJobMemory"), ("job",)),
    "RedriveKeeperLate": ("duty",),
    "RedriveDeadLetterOld": ("queue", "job"),
}


def _labels(name: str) -> str:
    alert, *more = name.split()
    values = {"alertname": alert} | dict(zip(TOLD_APART_BY.get(alert, ("queue", "window")), more, strict=False))
    return "{" + ",".join(f'{label}="{value}"' for label, value in values.items()) + "}"
