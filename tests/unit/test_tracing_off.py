"""Tracing that nobody asked for costs nothing: nothing of OpenTelemetry is imported that others do not import by themselves."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from redrive.blocks.tracing.switch import is_asked_for, obstacle

ROOT = Path(__file__).resolve().parents[2]

PRODUCER = "import redrive, redrive.deployments.enqueue, redrive.deployments.acceptance"
JOBS = "import redrive.flows.engine.job, redrive.infra.worker.warm_worker, redrive.infra.worker.child.child"
KEEPER = "import redrive.infra.keeper.service"
#: What Prefect and the client of Redis import of it by themselves, where it is installed.
OTHERS = "import redis, prefect.flow_engine, prefect.task_engine, prefect.workers.base, prefect.engine"


def modules_of(program: str, **environment: str) -> set[str]:
    """Modules of OpenTelemetry that are there after a program."""
    told = f"{program}\nimport sys, json; print(json.dumps([name for name in sys.modules if name.startswith('opentelemetry')]))"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, env={"PATH": "", **environment}
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_whoever_asks_for_jobs_imports_nothing_of_it() -> None:
    assert modules_of(PRODUCER) == set()


@pytest.mark.parametrize("program", [JOBS, KEEPER])
def test_a_process_of_redrive_imports_no_more_of_it_than_others_do(program: str) -> None:
    assert modules_of(program) <= modules_of(OTHERS)


def test_a_span_that_nobody_asked_for_imports_nothing() -> None:
    opened = (
        "from redrive.blocks.tracing.messaging import messaging\n"
        "from redrive.blocks.tracing.spans import span\n"
        "with span('a', 0, messaging('process', 'high')) as one: one.set({'a': 1}); assert one.context is None"
    )

    assert modules_of(opened) == set()


def test_a_span_that_was_asked_for_does() -> None:
    opened = (
        "from redrive.blocks.tracing.spans import span\nwith span('a', 0, {}) as one: assert one.context is not None"
    )

    found = modules_of(
        opened, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1", HOME=str(ROOT)
    )

    assert "opentelemetry.sdk.trace" in found


def test_only_one_folder_imports_it() -> None:
    for top in ("blocks", "deployments", "flows", "infra", "dashboards"):
        for path in (ROOT / top).rglob("*.py"):
            if (ROOT / "blocks" / "tracing" / "sdk") in path.parents:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.partition(".")[0] == "opentelemetry" for name in names), path


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], *, asked: bool) -> None:
    assert is_asked_for(environ) is asked


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER=jaeger is not supported"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "traces cannot be sent by http/json"),
    ],
)
def test_what_cannot_be_sent_is_reported_in_a_sentence(environ: dict[str, str], said: str) -> None:
    assert (obstacle(environ) or "").startswith(said)


def test_both_protocols_can_be_sent() -> None:
    assert [obstacle({"OTEL_EXPORTER_OTLP_PROTOCOL": one}) for one in ("grpc", "http/protobuf")] == [None, None]
