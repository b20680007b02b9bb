"""The thresholds file: what differs per queue, and mistakes in it said clearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from redrive.blocks.core.errors import SettingsError
from redrive.dashboards.alerts.limits import seconds
from redrive.dashboards.alerts.thresholds import FILE, Thresholds


def test_what_a_queue_does_not_name_is_as_for_every_queue() -> None:
    thresholds = Thresholds.read()

    high = thresholds.queues["high"]
    assert (high.oldest_waiting.age, high.oldest_waiting.severity) == ("5m", "critical")
    assert high.oldest_waiting.hold == thresholds.every_queue.oldest_waiting.hold
    assert high.depth == thresholds.every_queue.depth


def test_what_a_job_type_does_not_name_is_as_for_every_queue(tmp_path: Path) -> None:
    document = yaml.safe_load(FILE.read_text())
    document["job_types"] = {"mail": {"dead_letter_age": {"age": "15m"}}}
    path = tmp_path / "thresholds.yaml"
    path.write_text(yaml.safe_dump(document))

    thresholds = Thresholds.read(path)

    mail = thresholds.job_types["mail"].dead_letter_age
    assert (mail.age, mail.hold) == ("15m", thresholds.every_queue.dead_letter_age.hold)


@pytest.mark.parametrize(
    ("duration", "expected"), [("30s", 30), ("15m", 900), ("1h30m", 5400), ("1d", 86_400), ("250ms", 0.25)]
)
def test_durations_are_those_of_prometheus(duration: str, expected: float) -> None:
    assert seconds(duration) == expected


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *folders, name = path.split(".")
        for folder in folders:
            document = document.setdefault(folder, {})
        document[name] = value

    return change


def take(path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *folders, name = path.split(".")
        for folder in folders:
            document = document[folder]
        del document[name]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            put("every_queue.depth.for", "10 minutes"),
            "every_queue.depth.for: '10 minutes' is no duration; write one like 30s",
        ),
        (put("every_queue.depth.jobs", "many"), "every_queue.depth.jobs: 'many' does not fit"),
        (put("every_queue.depth.jobs", 0), "every_queue.depth.jobs: 0 does not fit"),
        (put("every_queue.deph", {}), "every_queue.deph: there is no such threshold; did you mean depth?"),
        (put("queues.hihg.depth.jobs", 5), "queues.hihg: there is no such queue; did you mean high?"),
        (put("queues.high.depth.job", 5), "queues.high.depth.job: there is no such threshold; did you mean jobs?"),
        (put("every_queue.depth.severity", "urgent"), "every_queue.depth.severity: 'urgent' does not fit"),
        (put("every_queue.failure_rate.objective", 0.9), "no failure rate exceeds: lower burn, or raise objective"),
        (
            put(
                "every_queue.failure_rate.windows",
                [{"long": "5m", "short": "1h", "burn": 2, "for": "1m", "severity": "warning"}],
            ),
            "short: 1h must be shorter than long: 5m",
        ),
        (
            put("job_types.report.dead_letter_age.age", "5m"),
            "job_types.report: there is no such job type; did you mean reports?",
        ),
        (
            put("job_types.mail.dead_letter_ages", {}),
            "job_types.mail.dead_letter_ages: there is no such threshold; did you mean",
        ),
        (
            put("links.runbooks", "docs/runbooks.md"),
            "links.runbooks: 'docs/runbooks.md' opens from no mail: write an address",
        ),
        (put("keeper.late.round", 3), "keeper.late.round: there is no such threshold; did you mean rounds?"),
        (take("exporter.down"), "exporter.down is missing"),
        (take("schedule_missed"), "schedule_missed is missing"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path) -> None:
    document = yaml.safe_load(FILE.read_text())
    change(document)
    path = tmp_path / "thresholds.yaml"
    path.write_text(yaml.safe_dump(document))

    with pytest.raises(SettingsError) as told:
        Thresholds.read(path)

    assert said in str(told.value)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "is no YAML"), ("- 1", "must hold links, every_queue"), (None, "cannot be read")]
)
def test_a_file_that_is_none_is_reported(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SettingsError, match=said):
        Thresholds.read(path)
