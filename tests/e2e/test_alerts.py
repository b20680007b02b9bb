"""Every alert, end to end: break it, see Prometheus fire it, mend it as its runbook says, see it clear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from redrive.blocks.core.exit_codes import ExitCode
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.local.prefect_client import api
from tests.support.alert_scene import PATIENCE, AlertScene, alert_scene
from tests.support.job_stack import pointed_at
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def running_scene() -> Iterator[AlertScene]:
    with alert_scene() as scene:
        yield scene


@pytest.fixture
def scene(running_scene: AlertScene) -> Iterator[AlertScene]:
    with pointed_at(running_scene.stack):
        yield running_scene


def test_failing_jobs_alert_until_somebody_acts_on_their_dead_letters(scene: AlertScene) -> None:
    folder = scene.stack.folder("failing")

    for _ in range(3):
        enqueue("test-fail", {"folder": str(folder)}, queue="high")

    scene.fires("RedriveRetryStorm", queue="high")
    said = scene.fires("RedriveFailureRate", queue="high")
    assert "Queue high: 100% of the jobs" in said["summary"]
    assert said["runbook_url"] == "https://runbooks.example.com/redrive#redrivefailurerate"
    said = scene.fires("RedriveDeadLetters", queue="high")
    assert said["dashboard_url"] == "https://grafana.example.com/d/redrive-dead-letters?var-queue=high"
    scene.fires("RedriveDeadLetterOld", queue="high")
    assert "`redrive dead groups --queue high`" in said["first_step"]

    scene.stack.redrive("dead", "discard", "--queue", "high", "--why", "the test is over")

    scene.clears("RedriveDeadLetters", "RedriveDeadLetterOld", queue="high")
    scene.clears("RedriveFailureRate", "RedriveRetryStorm", queue="high")


def test_dead_letter_of_an_urgent_job_type_alerts_by_that_types_own_patience(scene: AlertScene) -> None:
    enqueue("test-permanent", {"folder": str(scene.stack.folder("urgent"))}, queue="low")

    said = scene.fires("RedriveDeadLetterOld", job="test-permanent", severity="critical")
    assert said["summary"].startswith("Job type test-permanent: a dead letter has been open for")

    scene.stack.redrive("dead", "discard", "--queue", "low", "--why", "the test is over")

    scene.clears("RedriveDeadLetterOld", job="test-permanent")


def test_frozen_keeper_alerts_and_shows_in_check_and_top_until_it_goes_on(scene: AlertScene) -> None:
    def keeper() -> dict[str, Any]:
        return finding(scene, "keeper")

    wait_until(lambda: keeper()["well"], PATIENCE, "the keeper to be well")

    with scene.silent("keeper"):
        said = scene.fires("RedriveKeeperLate", duty="rescue")
        assert said["first_step"].startswith("`redrive check`: which duties are late")

        # Each duty is late by its own last success: the one that was next to be done is so first.
        late = wait_until(
            lambda: found if "rescue" in (found := keeper())["said"] else None, PATIENCE, "the check to find it"
        )
        assert late is not None
        assert not late["well"]
        assert "`kill -9 PID`" in late["said"]
        told = json.loads(scene.stack.redrive("top", "--json").stdout)["keeper"]
        assert not told["healthy"]
        assert "rescue" in {one["duty"] for one in told["late"]}
        assert scene.stack.redrive("check", check=False).returncode == ExitCode.UNHEALTHY

    scene.clears("RedriveKeeperLate")
    wait_until(lambda: keeper()["well"], PATIENCE, "the keeper to be well again")


def test_forgotten_pause_alerts_until_the_queue_is_resumed(scene: AlertScene) -> None:
    scene.stack.redrive("queues", "pause", "low")
    for _ in range(4):
        enqueue("test-ok", {"folder": str(scene.stack.folder("paused"))}, queue="low")

    said = scene.fires("RedrivePausedTooLong", queue="low")
    assert "`redrive queues resume low`" in said["summary"]
    # The exporter counts every few seconds. Only a backlog that is deep and old enough for them shows that the other alerts are silent.
    deep, old = 'queue_jobs_waiting{queue="low"} == 4', 'queue_oldest_waiting_seconds{queue="low"} > 8'
    wait_until(lambda: scene.prometheus.query(deep) and scene.prometheus.query(old), PATIENCE, "the backlog to be seen")
    scene.clears("RedriveQueueDeep", "RedriveOldestWaiting", "RedriveNothingFinished", queue="low")

    scene.stack.redrive("queues", "resume", "low")

    scene.clears("RedrivePausedTooLong", queue="low")


def test_exporter_that_is_gone_alerts_until_it_is_back(scene: AlertScene) -> None:
    with scene.without("exporter"):
        scene.fires("RedriveExporterDown")
        assert "`redrive up` starts the exporter" in finding(scene, "exporter")["said"]

    scene.clears("RedriveExporterDown")


@pytest.mark.soak
def test_lost_worker_alerts_until_it_is_back_and_the_work_is_done(scene: AlertScene) -> None:
    folder = scene.stack.folder("waiting")

    with scene.without("worker"):
        for _ in range(5):
            enqueue("test-ok", {"folder": str(folder)})

        said = scene.fires("RedriveQueueDeep", queue="default")
        assert "Queue default: 5 jobs are due" in said["summary"]
        scene.fires("RedriveOldestWaiting", queue="default")
        scene.fires("RedriveNothingFinished", queue="default")
        scene.fires("RedriveNoWorker", queue="default")

    scene.clears(
        "RedriveNoWorker", "RedriveQueueDeep", "RedriveNothingFinished", "RedriveOldestWaiting", queue="default"
    )


@pytest.mark.soak
def test_exporter_that_cannot_read_alerts_until_it_can(scene: AlertScene) -> None:
    with scene.silent("prefect"):
        scene.fires("RedriveExporterBlind")
        scene.fires("RedriveExporterLag")

    scene.clears("RedriveExporterBlind", "RedriveExporterLag")


@pytest.mark.soak
def test_missed_schedule_alerts_until_its_job_is_made(scene: AlertScene) -> None:
    folder = scene.stack.folder("scheduled")
    with api(scene.stack.settings) as client:
        deployment = _json(client.get("/deployments/name/test-ok/test-ok"))["id"]
        every_minute = {
            "schedule": {"cron": "* * * * *", "timezone": "UTC"},
            "active": True,
            "parameters": {"folder": str(folder)},
        }
        (schedule,) = _json(client.post(f"/deployments/{deployment}/schedules", json=[every_minute]))

        said = scene.fires("RedriveScheduleMissed", job="test-ok")
        assert "`redrive enqueue test-ok`" in said["summary"]

        # What Prefect's scheduler does; it is switched off in this stack.
        client.post(f"/deployments/{deployment}/schedule", json={}).raise_for_status()

        scene.clears("RedriveScheduleMissed", job="test-ok")
        client.delete(f"/deployments/{deployment}/schedules/{schedule['id']}").raise_for_status()


@pytest.mark.soak
def test_processes_that_die_at_work_alert_until_they_stop(scene: AlertScene) -> None:
    folder = scene.stack.folder("dying")

    for _ in range(4):
        enqueue("test-die", {"folder": str(folder), "times": 9}, queue="high")

    said = scene.fires("RedriveRescueStorm", queue="high")
    assert "jobs were rescued in the last 90s" in said["summary"]
    scene.clears("RedriveRescueStorm", queue="high")
    scene.stack.redrive("dead", "discard", "--queue", "high", "--why", "the test is over")


@pytest.mark.soak
def test_job_that_runs_for_long_alerts_until_it_ends(scene: AlertScene) -> None:
    job = enqueue("test-long", {"folder": str(scene.stack.folder("long")), "seconds": 300}, queue="low")

    said = scene.fires("RedriveOldestRunning", queue="low")
    assert "`redrive jobs list --state running --queue low`" in said["summary"]

    scene.stack.redrive("jobs", "cancel", str(job.id))

    scene.clears("RedriveOldestRunning", queue="low")


@pytest.mark.soak
def test_job_that_was_claimed_and_does_not_start_alerts_until_the_keeper_reclaims_it(scene: AlertScene) -> None:
    scene.stack.redrive("queues", "pause", "low")
    job = enqueue("test-ok", {"folder": str(scene.stack.folder("claimed"))}, queue="low")
    # What a worker does first; this one dies of it.
    with api(scene.stack.settings) as client:
        claimed = {"state": {"type": "PENDING", "name": "Pending"}}
        client.post(f"/flow_runs/{job.id}/set_state", json=claimed).raise_for_status()

    said = scene.fires("RedriveNotStarting", queue="low")
    assert "a worker claimed a job" in said["summary"]
    scene.clears("RedriveNotStarting", queue="low")

    scene.stack.redrive("queues", "resume", "low")
    wait_for(job.id, timeout=PATIENCE)


@pytest.mark.soak
def test_failures_that_only_the_audit_finds_alert_until_they_are_old(scene: AlertScene) -> None:
    with scene.stack.ledger() as ledger:
        # As an audit ends that finds three and cannot put one into the ledger; the next one finds nothing.
        ledger.audited(found=3, uncollected=1)

        said = scene.fires("RedriveAuditFound")
        assert "found 3 failed jobs" in said["summary"]
        scene.fires("RedriveUncollected")

        ledger.audited(found=0, uncollected=0)

    scene.clears("RedriveUncollected", "RedriveAuditFound")


def finding(scene: AlertScene, point: str) -> dict[str, Any]:
    """What `redrive check` finds of one point."""
    (found,) = [
        one for one in json.loads(scene.stack.redrive("check", "--json", check=False).stdout) if one["point"] == point
    ]
    return dict(found)


def _json(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer.json()
