"""The recipes of infra/otel/README.md, each run as it stands against a receiver on this machine in the vendor's place."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from redrive.blocks.tracing import names
from tests.support.otlp import Receiver, receiving

README = Path(__file__).resolve().parents[2] / "infra" / "otel" / "README.md"
_RECIPE = re.compile(r"^### (?P<name>.+)\n\n```\n(?P<lines>(?:export .+\n)+)```", re.MULTILINE)
DELTA, CUMULATIVE = 1, 2

#: A span that fails, its exception as an event of the log, and how long it took.
PROGRAM = """
from redrive.blocks.tracing import names
from redrive.blocks.tracing.operations import measured
from redrive.blocks.tracing.messaging import messaging
from redrive.blocks.tracing.spans import span
try:
    with measured("create", "high"), span("create mail", names.PRODUCER, messaging("create", "high")):
        raise ValueError("no")
except ValueError:
    pass
"""


@dataclass(frozen=True)
class Recipe:
    """A block of the README: its variables."""

    name: str
    variables: dict[str, str]


def recipes() -> list[Recipe]:
    return [
        Recipe(found["name"], dict(word.split("=", 1) for word in shlex.split(found["lines"]) if word != "export"))
        for found in _RECIPE.finditer(README.read_text())
    ]


def sent(recipe: Recipe, receiver: Receiver) -> None:
    """Run it, with its addresses turned to the receiver."""
    turned = {
        name: f"{receiver.endpoint}{urlsplit(value).path}" if name.endswith("ENDPOINT") else value
        for name, value in recipe.variables.items()
    }
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "REDRIVE_"))}
    subprocess.run([sys.executable, "-c", PROGRAM], env={**bare, **turned}, check=True, timeout=120)


def test_every_tool_that_we_name_has_one() -> None:
    assert [one.name for one in recipes()] == [
        "New Relic",
        "Datadog by its agent",
        "Datadog directly",
        "Grafana Cloud",
        "Grafana Tempo, Mimir and Loki of your own",
        "Sentry",
    ]


@pytest.mark.parametrize("recipe", [pytest.param(one, id=one.name) for one in recipes()])
def test_what_a_recipe_promises_arrives(recipe: Recipe) -> None:
    given = recipe.variables
    with receiving() as receiver:
        sent(recipe, receiver)

    assert [one.name for one in receiver.spans] == ["create mail"]
    assert [one.event for one in receiver.lines] == [names.EXCEPTION]
    takes_metrics = "OTEL_METRICS_EXPORTER" in given or "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" in given
    metrics = [
        metric
        for request in receiver.metrics
        for of in request.resource_metrics
        for scope in of.scope_metrics
        for metric in scope.metrics
    ]
    wanted = DELTA if given.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE") == "delta" else CUMULATIVE
    assert [(one.name, one.histogram.aggregation_temporality) for one in metrics] == [
        (names.OPERATION_DURATION, wanted)
    ] * takes_metrics

    # At the vendor's paths, with the key.
    general = urlsplit(given.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")).path
    own = {
        urlsplit(value).path
        for name, value in given.items()
        if name.endswith(("TRACES_ENDPOINT", "METRICS_ENDPOINT", "LOGS_ENDPOINT"))
    }
    assert {path for path, _ in receiver.asked} == (
        own or {f"{general}/v1/{signal}" for signal in ("traces", "logs", "metrics")}
    )
    headers = dict(pair.split("=", 1) for pair in given.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",") if pair)
    for _, came in receiver.asked:
        assert {name.lower(): unquote(value) for name, value in headers.items()}.items() <= came.items()
        assert (came.get("content-encoding") == "gzip") is (given.get("OTEL_EXPORTER_OTLP_COMPRESSION") == "gzip")
