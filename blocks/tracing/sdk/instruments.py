"""The official instrumentations, in processes that run jobs: what a job asks of HTTP, PostgreSQL and Redis are spans of its try.

Prefect's own requests are left out: they are many, and say nothing about the job.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from opentelemetry.sdk.trace import TracerProvider

from redrive.blocks.core.settings import settings
from redrive.blocks.tracing.sdk.provider import provider

log = logging.getLogger("redrive.tracing")

#: Read by the instrumentation of httpx when it is installed: addresses that make no spans.
EXCLUDED = "OTEL_PYTHON_HTTPX_EXCLUDED_URLS"


def install() -> None:
    """Instrument this process, once. One that cannot be instrumented is left as it is."""
    ours = provider()
    for name, instrument in (("httpx", _httpx), ("psycopg", _psycopg), ("redis", _redis)):
        if ours is None or find_spec(name) is None:
            continue
        try:
            instrument(ours)
        except Exception:  # an instrumentation patches somebody else's code, and may fail in any way
            log.warning("requests by %s are not traced", name, exc_info=True)


def _httpx(ours: TracerProvider) -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415

    with _environment(EXCLUDED, ",".join(filter(None, (os.environ.get(EXCLUDED), settings().api_url)))):
        HTTPXClientInstrumentor().instrument(tracer_provider=ours)


def _psycopg(ours: TracerProvider) -> None:
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor  # noqa: PLC0415

    PsycopgInstrumentor().instrument(tracer_provider=ours, skip_dep_check=True)


def _redis(ours: TracerProvider) -> None:
    from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415

    RedisInstrumentor().instrument(tracer_provider=ours, skip_dep_check=True)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
