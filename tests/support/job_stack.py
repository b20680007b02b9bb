"""A running stack with the job types of tests/support/jobs.py, and this process pointed at it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks import retry_policy as retry_block
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import client as prefect_api
from redrive.deployments import acceptance as producing
from redrive.deployments.catalog import forget
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
from redrive.deployments.people.actor import Actor
from redrive.deployments.people.people import People
from redrive.deployments.policies import override
from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


class JobStack(LocalStack):
    """A stack whose worker knows the test jobs, with what tests ask of it."""

    def __init__(self, home: Path, **settings: object) -> None:
        super().__init__(
            home,
            project=ROOT,
            jobs="tests.support.jobs,tests.support.decorated_jobs",
            # Tests wait for the exporter's counts.
            **{"queues": "high,default,bulk,low", "metrics_interval": 1, **settings},
        )
        self.env["PYTHONPATH"] = str(ROOT)

    def folder(self, name: str) -> Path:
        """A new folder for the effects of one test's jobs."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.home.parent))

    def redrive(self, *arguments: str, check: bool = True) -> Any:
        """Run the `redrive` command; its standard output, standard error and exit code are in the result."""
        return self.command(*arguments, check=check)

    def ledger(self) -> Ledger:
        ledger = Ledger(self.settings.ledger_url())
        ledger.migrate()
        return ledger

    @contextmanager
    def acting(self, who: str = "a test") -> Iterator[Actor]:
        """Somebody whose acts stand in the stack's record."""
        with People(self.settings.ledger_url()) as people:
            yield Actor(record=people, who=who)

    @contextmanager
    def overridden(self, job: str, **values: object) -> Iterator[None]:
        """A job type with these parts of its policy overridden meanwhile; none given, with what the test itself overrides."""
        with self.acting() as somebody:
            if values:
                override(job, values, by=somebody)
            try:
                yield
            finally:
                override(job, {}, by=somebody)

    def dead_letter(self, run_id: UUID, *, status: str = "open", timeout: float = 90) -> DeadLetter:
        """The row of a run once it has that status."""

        def found() -> DeadLetter | None:
            with self.ledger() as ledger:
                rows = [row for row in ledger.find(Filter(status=status), limit=500).rows if row.run_id == run_id]
            return rows[0] if rows else None

        row = wait_until(found, timeout, f"the dead letter of {run_id} to be {status}")
        assert row is not None
        return row


def effects(folder: Path, name: str) -> list[str]:
    """What a job left: one entry a time it happened."""
    path = folder / name
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def pointed_at(stack: LocalStack) -> Iterator[None]:
    """Let this process talk to a stack, as a producer configured for it would."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in stack.env.items() if name.startswith("REDRIVE_")})
    os.environ["PREFECT_API_URL"] = stack.settings.api_url
    os.environ["PREFECT_API_AUTH_STRING"] = stack.settings.auth_string() or ""
    os.environ["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] = str(stack.home / "results")
    forget_caches()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        forget_caches()


def forget_caches() -> None:
    settings.cache_clear()
    forget()
    prefect_api.connect_anew()
    producing._deployments.clear()
    retry_block._read.clear()


@pytest.fixture(scope="session")
def running_job_stack() -> Iterator[JobStack]:
    folder = Path(tempfile.mkdtemp(prefix="redrive-jobs-"))
    stack = JobStack(folder / ".redrive", retry_after=20)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def job_stack(running_job_stack: JobStack) -> Iterator[JobStack]:
    """The session's stack with test jobs, this process pointed at it."""
    with pointed_at(running_job_stack):
        yield running_job_stack
