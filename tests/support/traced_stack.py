"""A stack whose jobs are traced and whose dead letters go to Sentry, with the receivers of both."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support.job_stack import JobStack, pointed_at
from tests.support.sentry_receiver import SentryReceiver, receiving_events

if TYPE_CHECKING:
    from tests.support.otlp import Protocol, Receiver

#: What must not arrive anywhere.
MARKED = {"password": "marked-password-1", "customer": "Marked Customer 2", "token": "marked-token-3"}


class TracedStack(JobStack):
    """A stack that sends its spans to a receiver."""

    def __init__(self, home: Path, receiver: Receiver, sentry: SentryReceiver, **settings: object) -> None:
        links = {"trace_url": "https://traces.example.com/{trace_id}", "console_url": "https://jobs.example.com"}
        super().__init__(home, retry_after=20, **links, **settings)
        self.receiver, self.sentry = receiver, sentry
        self.env |= {
            "REDRIVE_JOBS": "tests.support.traced_jobs",
            "MARKED_API_TOKEN": MARKED["token"],
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "SENTRY_DSN": sentry.dsn,
            "SENTRY_RELEASE": "shop@1.2.3",
            **receiver.environment,
        }

    def asked(self, job: str, **parameters: Any) -> UUID:
        """A job that a command asks for, in a process of its own."""
        environment = {name: parameters.pop(name) for name in list(parameters) if name.startswith("REDRIVE_")}
        done = self.command("enqueue", job, "--params-json", json.dumps(parameters), "--json", **environment)
        return UUID(json.loads(done.stdout)["id"])

    def spans(self, what: str) -> int:
        """How many spans of its workers were `sent`, `dropped`, `refused`, or wait."""
        return sum(one["spans"].get(what, 0) for one in self.status()["workers"])


@contextmanager
def running(protocol: Protocol, **settings: object) -> Iterator[TracedStack]:
    """A stack of its own that sends by this protocol."""
    # Every run of the tests loads this file; the packages of traces only those that need them.
    from tests.support.otlp import receiving

    folder = Path(tempfile.mkdtemp(prefix="redrive-traces-"))
    with receiving(protocol) as receiver, receiving_events() as sentry:
        stack = TracedStack(folder / ".redrive", receiver, sentry, **settings)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running_traced_stack() -> Iterator[TracedStack]:
    with running("grpc") as stack:
        yield stack


@pytest.fixture
def traced_stack(running_traced_stack: TracedStack) -> Iterator[TracedStack]:
    with pointed_at(running_traced_stack):
        yield running_traced_stack


@pytest.fixture(scope="session")
def running_http_traced_stack() -> Iterator[TracedStack]:
    with running("http/protobuf", sentry_tries=1, profile_slow=2) as stack:
        yield stack


@pytest.fixture
def http_traced_stack(running_http_traced_stack: TracedStack) -> Iterator[TracedStack]:
    """One that sends by HTTP, tells Sentry of each failed try, and keeps profiles of slow jobs."""
    with pointed_at(running_http_traced_stack):
        yield running_http_traced_stack
