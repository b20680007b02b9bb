"""Whether this process traces: decided once, by the standard `OTEL_*` variables. Without them nothing is imported.

Unlike the specification's default (`OTEL_TRACES_EXPORTER=otlp`), silence means off.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

#: Any of them asks for traces.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: What the specification names as default.
HTTP, GRPC = "http/protobuf", "grpc"


def is_asked_for(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment asks for traces."""
    environ = os.environ if environ is None else environ
    if _of(environ, "OTEL_SDK_DISABLED") == "true":
        return False
    if exporter := _of(environ, "OTEL_TRACES_EXPORTER"):
        return exporter != "none"
    return any(environ.get(name) for name in ENDPOINTS)


def logs_are_asked_for(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the lines of jobs' logs are to be sent as well; only beside traces, and only by name, as they are many."""
    environ = os.environ if environ is None else environ
    given = _of(environ, "OTEL_LOGS_EXPORTER")
    return is_asked_for(environ) and (
        given == "otlp" or (not given and bool(environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")))
    )


def metrics_are_asked_for(environ: Mapping[str, str] | None = None) -> bool:
    """Whether figures are to be sent by OTLP. The general endpoint alone does not ask for it: most have Prometheus."""
    environ = os.environ if environ is None else environ
    if _of(environ, "OTEL_SDK_DISABLED") == "true":
        return False
    given = _of(environ, "OTEL_METRICS_EXPORTER")
    return given == "otlp" or (not given and bool(environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")))


def protocol(environ: Mapping[str, str] | None = None) -> str:
    """How spans travel: `http/protobuf` or `grpc`."""
    environ = os.environ if environ is None else environ
    return next((given for name in PROTOCOLS if (given := _of(environ, name))), HTTP)


def obstacle(environ: Mapping[str, str] | None = None) -> str | None:
    """Why traces that are asked for cannot be sent, in a sentence; None if they can."""
    environ = os.environ if environ is None else environ
    if (exporter := _of(environ, "OTEL_TRACES_EXPORTER") or "otlp") != "otlp":
        return (
            f"OTEL_TRACES_EXPORTER={exporter} is not supported: Redrive sends traces by otlp, or with none not at all"
        )
    if (given := protocol(environ)) not in {HTTP, GRPC}:
        return f"traces cannot be sent by {given}: OTEL_EXPORTER_OTLP_PROTOCOL is {HTTP} or {GRPC}"
    try:
        found = find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    return None if found else "traces need opentelemetry, which is not installed: pip install 'redrive[otel]'"


@cache
def is_on() -> bool:
    """Whether this process traces."""
    return is_asked_for() and obstacle() is None


@cache
def sends_logs() -> bool:
    """Whether this process sends the lines of jobs' logs."""
    return is_on() and logs_are_asked_for()


@cache
def sends_metrics() -> bool:
    """Whether this process sends figures by OTLP."""
    return metrics_are_asked_for() and obstacle({**os.environ, "OTEL_TRACES_EXPORTER": "otlp"}) is None


def _of(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()
