"""Prefect is updated while jobs wait and run: an installation of an older one becomes today's, migrations of its tables included."""

from __future__ import annotations

from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.compose_images import DOCKER, IMAGES, build_arguments, run
from tests.support.compose_installation import HERE, PYTHON, Installation, overlapping
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

#: Three migrations of its tables before the one that is pinned.
OLDER = "3.8.0"
#: Jobs of one producer, and seconds of each: eight slots are busy with them for longer than the update takes.
JOBS, SECONDS = 600, 2.0


@pytest.fixture
def before(installation: Installation, tmp_path: Path) -> Installation:
    """The same installation, made anew from images with the older Prefect."""
    secrets = build_arguments(tmp_path)
    for image in IMAGES:
        of = ["--build-arg", f"IMAGE=redrive/{image}:latest", "--build-arg", f"PREFECT={OLDER}"]
        words = ["build", "-q", *secrets, *of, "-t", f"redrive/{image}:older", str(HERE / "older_prefect")]
        run(DOCKER, *words, DOCKER_HOST=installation.url, DOCKER_BUILDKIT="1")
    installation.compose("down", "-v", "--timeout", "5")
    installation.version = "older"
    installation.compose("up", "-d")
    installation.until_healthy("with the older Prefect")
    return installation


def prefects(installation: Installation) -> set[str]:
    """Which Prefect runs, in all parts that have one."""
    asked = [PYTHON, "-c", "import prefect; print(prefect.__version__)"]
    parts = ("prefect-1", "prefect-2", "services", "worker-1", "worker-2", "keeper-1", "ops-worker")
    return {installation.inside(part, *asked).split()[-1] for part in parts}


def tables(installation: Installation) -> str:
    """The migration that Prefect's tables are at."""
    return installation.asked("SELECT version_num FROM alembic_version").strip()


def enqueued(installation: Installation, name: str, *options: str) -> None:
    """Ask for one more job, by the command line."""
    installation.inside("ops-worker", "redrive", "enqueue", "probe", "--param", f"name={name}", *options)


def test_prefect_is_updated_while_jobs_wait_and_run_and_none_is_lost_or_runs_twice(before: Installation) -> None:
    assert prefects(before) == {OLDER}
    of_the_older = tables(before)
    enqueued(before, "later-0", "--in", "2h")
    producer = before.producer("prefect", JOBS, seconds=SECONDS)
    wait_until(lambda: len(before.executions("prefect")) >= 20, 240, "load before the update")
    assert before.asked("SELECT count(*) FROM flow_run WHERE state_type = 'RUNNING'").strip() != "0"

    before.version = "latest"
    before.roll()
    assert len(before.executions("prefect")) < JOBS, "jobs were left when all was updated"
    out, err = producer.communicate(timeout=300)

    assert prefects(before) == {version("prefect")}
    assert tables(before) != of_the_older
    acknowledged = [float(line.split()[1]) for line in out.splitlines()]
    assert len(acknowledged) == JOBS, err[-2000:]
    longest = max(later - earlier for earlier, later in pairwise(acknowledged))
    print(
        f"Prefect {OLDER} to {version('prefect')}: longest time between two jobs that were accepted {longest:.1f} s; "
        f"the caller had to ask again {err.count('again:')} times"
    )
    wait_until(lambda: len(before.executions("prefect")) == JOBS, 300, f"all {JOBS} jobs to be done")
    assert overlapping(before.executions("prefect")) == []
    assert list(before.effects.glob("overlap.prefect-*")) == []
    assert all(len(spans) == 1 for spans in before.executions("prefect").values()), "a drained job ran twice"
    scheduled = "SELECT count(*) FROM flow_run WHERE state_type = 'SCHEDULED' AND parameters->>'name' = 'later-0'"
    assert before.asked(scheduled).strip() == "1", "what is due later still is"
