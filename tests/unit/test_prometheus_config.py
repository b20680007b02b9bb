"""The examples for Prometheus and Alertmanager are accepted by their own tools and fit the rules."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from redrive.dashboards.alerts.rules import SCRAPE_JOB
from tests.support.prometheus import run_tool

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "infra" / "prometheus" / "prometheus.yml"
ALERTMANAGER = ROOT / "dashboards" / "alerts" / "alertmanager.yaml"


def test_prometheus_accepts_its_example() -> None:
    done = run_tool("promtool", "check", "config", PROMETHEUS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout


def test_our_job_label_survives_the_scrape() -> None:
    (ours,) = (job for job in yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"] if job["job_name"] == SCRAPE_JOB)

    assert ours["honor_labels"] is True


def test_alertmanager_accepts_its_example() -> None:
    done = run_tool("amtool", "check-config", ALERTMANAGER)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"service": "redrive", "severity": "critical", "queue": "high"}, "on-call"),
        ({"service": "redrive", "severity": "warning", "queue": "high"}, "mail"),
        ({"service": "other"}, "mail"),
    ],
)
def test_alerts_reach_their_receiver(labels: dict[str, str], receiver: str) -> None:
    told = run_tool(
        "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *(f"{k}={v}" for k, v in labels.items())
    )

    assert told.stdout.strip() == receiver, told.stderr


def test_inhibitions_name_alerts_that_exist() -> None:
    rules = yaml.safe_load((ALERTMANAGER.parent / "rules.yaml").read_text())
    known = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    rules_of_silence = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]

    named = {
        name
        for rule in rules_of_silence
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if matcher.startswith("alertname")
        for name in matcher.split('"')[1].split("|")
    }

    assert named <= known
