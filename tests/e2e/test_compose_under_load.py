"""What is done to compose's installation while jobs run: kills, an update, new passwords, a restore."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.compose_images import DOCKER, IMAGES, run
from tests.support.compose_installation import Installation, overlapping
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

#: Jobs of one producer, and seconds of each: eight slots are busy with them for more than a minute.
JOBS, SECONDS = 300, 2.0


def all_done(installation: Installation, name: str, jobs: int) -> None:
    """Every job of a producer was done, and none ran twice at once."""
    wait_until(lambda: len(installation.executions(name)) == jobs, 300, f"all {jobs} jobs to be done")
    assert overlapping(installation.executions(name)) == []
    assert list(installation.effects.glob(f"overlap.{name}-*")) == []


def test_under_load_an_api_server_a_worker_redis_and_postgres_are_killed_and_no_job_is_lost_or_runs_twice_at_once(
    installation: Installation,
) -> None:
    producer = installation.producer("kill", JOBS, seconds=SECONDS)

    for number, victim in enumerate(("prefect-1", "worker-1", "redis", "postgres"), 1):
        wait_until(
            lambda: len(installation.executions("kill")) >= 40 * number,  # noqa: B023  (asked for at once)
            240, f"load before {victim} is killed",
        )  # fmt: skip
        assert len(installation.executions("kill")) < JOBS, "there is load when it is killed"
        installation.kill(victim)
        installation.until_healthy(f"after {victim} was killed")
    out, err = producer.communicate(timeout=300)

    assert len({line.split()[0] for line in out.splitlines()}) == JOBS, err[-2000:]
    all_done(installation, "kill", JOBS)


def test_redrive_is_updated_under_load_and_no_job_is_lost_or_runs_twice_at_once(installation: Installation) -> None:
    for image in IMAGES:
        run(DOCKER, "tag", f"redrive/{image}:latest", f"redrive/{image}:next", DOCKER_HOST=installation.url)
    installation.version = "next"
    producer = installation.producer("update", JOBS, seconds=SECONDS)
    wait_until(lambda: installation.executions("update"), 240, "load before the update")

    said = installation.roll()
    out, err = producer.communicate(timeout=300)

    assert {one["Config"]["Image"].partition(":")[2] for name, one in installation.containers().items()
            if one["Config"]["Image"].startswith("redrive/")} == {"next"}  # fmt: skip
    assert len(said.splitlines()) == 12
    acknowledged = [float(line.split()[1]) for line in out.splitlines()]
    assert len(acknowledged) == JOBS, err[-2000:]
    longest = max(later - earlier for earlier, later in pairwise(acknowledged))
    print(
        f"longest time between two jobs that were accepted: {longest:.1f} s; the caller had to ask again {err.count('again:')} times"
    )
    all_done(installation, "update", JOBS)
    assert all(len(spans) == 1 for spans in installation.executions("update").values()), "a drained job ran twice"


def test_passwords_are_rotated_under_load_and_no_job_is_lost_or_runs_twice_at_once(installation: Installation) -> None:
    before = {path.name: path.read_text() for path in installation.secrets.iterdir()}
    producer = installation.producer("rotate", JOBS, seconds=SECONDS)
    wait_until(lambda: installation.executions("rotate"), 240, "load before the rotation")

    installation.rotate("database")
    installation.rotate("redis")
    out, err = producer.communicate(timeout=300)
    # Prefect's API has one password: who enqueues needs the new one.
    installation.rotate("prefect")

    installation.until_healthy("after the rotation")
    assert len(out.splitlines()) == JOBS, err[-2000:]
    all_done(installation, "rotate", JOBS)
    after = {path.name: path.read_text() for path in installation.secrets.iterdir()}
    assert {name for name in after if after[name] == before[name]} == {"grafana-password"}
    old = before["redis-url"].split(":")[2].partition("@")[0]
    by_tls = ["--tls", "--cacert", "/run/tls/ca.crt"] if installation.tls else []
    assert "WRONGPASS" in installation.inside("redis", "redis-cli", *by_tls, "--no-auth-warning", "-a", old, "ping")
    wrong = before["database-password"]
    refused = f"PGPASSWORD={wrong} psql -h 127.0.0.1 -U redrive -d redrive -c 'SELECT 1'"
    assert "password authentication failed" in installation.inside("postgres", "sh", "-c", refused)
    done = installation.inside("ops-worker", "redrive", "enqueue", "probe", "--param", "name=rotated-0", "--wait")
    assert "Completed" in done


def test_everything_is_destroyed_and_goes_on_from_a_backup_that_was_made_under_load(installation: Installation) -> None:
    out, err = installation.producer("before", 60, seconds=10).communicate(timeout=300)
    accepted = {line.split()[0] for line in out.splitlines()}
    assert len(accepted) == 60, err[-2000:]
    load = installation.producer("load", 10_000)
    try:
        # The load waits behind them: some of them are done, some run, and some wait when the backup is made.
        wait_until(lambda: installation.executions("before"), 240, "some to be done before the backup")
        said = installation.compose("run", "--rm", "-T", "backup")
    finally:
        load.terminate()
        load.communicate(timeout=60)
    assert not accepted <= installation.completed(), "some were to be done after it"
    assert "holds everything as of" in said

    installation.compose("down", "-v", "--timeout", "5")
    (made,) = (installation.probe / "backups").iterdir()
    installation.compose("up", "-d", "postgres")
    installation.compose("run", "--rm", "-T", "backup", "redrive", "restore", f"/backups/{made.name}")
    installation.compose("up", "-d")

    installation.until_healthy("after the restore")
    wait_until(lambda: accepted <= installation.completed(), 300, "all that was accepted before the backup to be done")
    assert len(installation.executions("before")) == 60
    assert list(installation.effects.glob("overlap.*")) == []
