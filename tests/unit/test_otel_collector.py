"""The collector's configuration holds together, and has only what the collector takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "infra" / "otel" / "collector.yaml"
#: Of infra/compose, which takes what containers print as well.
BESIDE = ROOT / "infra" / "compose" / "collector.yaml"
SCHEMA = Path(__file__).resolve().parents[1] / "support" / "collector_schema.yaml"
PARTS = ("receivers", "processors", "exporters")


def given(file: Path = FILE) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


@pytest.mark.parametrize("file", [FILE, BESIDE])
@pytest.mark.parametrize("part", PARTS)
def test_what_pipelines_name_is_there_and_all_of_it_is_used(part: str, file: Path) -> None:
    pipelines = given(file)["service"]["pipelines"].values()

    assert {name for one in pipelines for name in one[part]} == given(file)[part].keys()


@pytest.mark.parametrize("file", [FILE, BESIDE])
def test_what_limits_memory_comes_first_and_batches_last(file: Path) -> None:
    for one in given(file)["service"]["pipelines"].values():
        assert (one["processors"][0], one["processors"][-1]) == ("memory_limiter", "batch")


def test_no_key_stands_in_it() -> None:
    for exporter in given()["exporters"].values():
        for value in exporter.get("headers", {}).values():
            assert re.fullmatch(r"(Basic )?\$\{env:[A-Z_]+\}", value)


@pytest.mark.parametrize("file", [FILE, BESIDE])
def test_it_has_only_what_the_collector_takes(file: Path) -> None:
    assert faults(given(file)) == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("exporters", "otlphttp/newrelic", "endpont"), "https://otlp.nr-data.net", "'endpont' was unexpected"),
        (("exporters", "otlphttp/newrelic", "endpoint"), "otlp.nr-data.net", "does not match"),
        (("processors", "batch", "timeout"), 2, "is not of type 'string'"),
        (("processors", "memory_limiter", "limit_percentage"), 50, "is valid under each of"),
        (("receivers", "jaeger"), {}, "any of the regexes"),
        (
            ("service", "pipelines", "spans"),
            {"receivers": ["otlp"], "exporters": ["otlphttp/sentry"]},
            "any of the regexes",
        ),
    ],
)
def test_what_the_collector_refuses_is_found(place: tuple[str, ...], value: object, said: str) -> None:
    config = given()
    part = config
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value

    assert said in " ".join(faults(config))


def faults(config: dict[str, Any]) -> list[str]:
    """What the schema has against it."""
    schema = yaml.safe_load(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return [one.message for one in Draft202012Validator(schema).iter_errors(config)]
