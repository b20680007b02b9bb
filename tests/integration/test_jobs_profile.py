"""`redrive jobs profile`: a running job is looked into, and the guilty place is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.process.job_figures import Counting, JobFigures
from redrive.deployments.enqueue import wait_for
from redrive.deployments.jobs.artifacts import left_by
from redrive.deployments.jobs.details import show_job
from redrive.infra.worker.slow_jobs import ENOUGH
from tests.support import traced_jobs
from tests.support.traced_stack import MARKED, TracedStack
from tests.support.waiting import wait_until

#: With a stack of its own, and the receivers beside it.
pytestmark = pytest.mark.soak

PATIENCE = 120
GUILTY = next(
    number
    for number, line in enumerate(Path(traced_jobs.__file__).read_text().splitlines(), 1)
    if "the guilty line" in line
)


@contextmanager
def running(stack: TracedStack, job: str, **parameters: str) -> Iterator[UUID]:
    """A job that runs until the end of this."""
    until = stack.folder("profile") / "until"
    run = stack.asked(job, until=str(until), **parameters)
    try:
        wait_until(lambda: show_job(run)[0].status == "running", PATIENCE, "the job to run")
        yield run
    finally:
        until.touch()
    assert wait_for(run, timeout=PATIENCE).state_name == "Completed"


def profiled(stack: TracedStack, run: UUID, *options: str) -> dict[str, Any]:
    said = stack.redrive("jobs", "profile", str(run), "--seconds", "2", "--json", *options).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def test_profile_of_a_busy_job_names_the_guilty_function_and_holds_no_secret(traced_stack: TracedStack) -> None:
    with running(traced_stack, "traced-burns", password=MARKED["password"]) as run:
        found = profiled(traced_stack, run)
        (artifact,) = left_by(run).artifacts

    assert found["rows"][0]["FUNCTION"].startswith("guilty (")
    assert "guilty (" in artifact.text
    svg = Path(found["file"]).read_text()
    assert "guilty (" in svg
    assert [name for name, value in MARKED.items() if value in svg + artifact.text] == []


def test_profile_of_a_leaking_job_names_the_guilty_line_and_holds_no_secret(traced_stack: TracedStack) -> None:
    with running(traced_stack, "traced-keeps", password=MARKED["password"]) as run:
        found = profiled(traced_stack, run, "--memory")
        (artifact,) = left_by(run).artifacts

    assert found["rows"][0]["LINE"] == f"keeps ({traced_jobs.__file__}:{GUILTY})"
    report = Path(found["file"]).read_text()
    assert report.lstrip().startswith("<!DOCTYPE html>")
    assert [name for name, value in MARKED.items() if value in report + artifact.text] == []


def test_a_job_that_does_not_run_cannot_be_profiled(traced_stack: TracedStack) -> None:
    run = traced_stack.asked("traced-idle")
    wait_for(run, timeout=PATIENCE)

    done = traced_stack.redrive("jobs", "profile", str(run), check=False)

    assert done.returncode != 0
    assert "does not run, it is Completed: only a running job can be profiled" in done.stderr


def test_a_job_slower_than_its_types_p99_keeps_a_profile_by_itself(http_traced_stack: TracedStack) -> None:
    # Given a job type whose jobs take a tenth of a second.
    counting = Counting()
    for _ in range(ENOUGH):
        counting.attempt("traced-burns", seconds=0.1, memory=0, steps={})
    with closing(JobFigures(http_traced_stack.settings.valkey_url())) as figures:
        figures.add(counting.take(), datetime.now(UTC))

    # When one takes longer.
    with running(http_traced_stack, "traced-burns", password=MARKED["password"]) as run:
        (artifact,) = wait_until(lambda: left_by(run).artifacts, PATIENCE, "the profile")

    # Then its profile names the guilty function, and nothing of its parameters.
    assert "guilty (" in artifact.text
    assert artifact.key == f"slow-{str(run)[:8]}"
    (file,) = (http_traced_stack.home / "profiles").glob(f"{run}-*-slow.svg")
    assert [name for name, value in MARKED.items() if value in file.read_text() + artifact.text] == []

    def told() -> list[dict[str, Any]]:
        said = http_traced_stack.redrive("jobs", "slow", "--job", "traced-burns", "--json").stdout
        return [one["attempt"] for one in json.loads(said)["jobs"] if one["attempt"]["run_id"] == str(run)]

    assert wait_until(told, 30, "the slow job to be told of")[0]["profile"]
