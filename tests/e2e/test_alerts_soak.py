"""The alerts whose causes take a stack of their own, or a minute: fired and cleared (soak)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.local.prefect_client import api
from tests.support.alert_scene import PATIENCE, AlertScene, own_scene
from tests.support.job_stack import pointed_at

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def running_scene() -> Iterator[AlertScene]:
    with own_scene() as scene:
        yield scene


@pytest.fixture
def scene(running_scene: AlertScene) -> Iterator[AlertScene]:
    with pointed_at(running_scene.stack):
        yield running_scene


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


def test_exporter_that_cannot_read_alerts_until_it_can(scene: AlertScene) -> None:
    with scene.silent("prefect"):
        scene.fires("RedriveExporterBlind")
        scene.fires("RedriveExporterLag")

    scene.clears("RedriveExporterBlind", "RedriveExporterLag")


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


def test_processes_that_die_at_work_alert_until_they_stop(scene: AlertScene) -> None:
    folder = scene.stack.folder("dying")

    for _ in range(4):
        enqueue("test-die", {"folder": str(folder), "times": 9}, queue="high")

    said = scene.fires("RedriveRescueStorm", queue="high")
    assert "jobs were rescued in the last 90s" in said["summary"]
    scene.clears("RedriveRescueStorm", queue="high")
    scene.stack.redrive("dead", "discard", "--queue", "high", "--why", "the test is over")


def test_job_that_runs_for_long_alerts_until_it_ends(scene: AlertScene) -> None:
    job = enqueue("test-long", {"folder": str(scene.stack.folder("long")), "seconds": 300}, queue="low")

    said = scene.fires("RedriveOldestRunning", queue="low")
    assert "`redrive jobs list --state running --queue low`" in said["summary"]

    scene.stack.redrive("jobs", "cancel", str(job.id))

    scene.clears("RedriveOldestRunning", queue="low")


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


def test_failures_that_only_the_audit_finds_alert_until_they_are_old(scene: AlertScene) -> None:
    with scene.stack.ledger() as ledger:
        # As an audit ends that finds three and cannot put one into the ledger; the next one finds nothing.
        ledger.audited(found=3, uncollected=1)

        said = scene.fires("RedriveAuditFound")
        assert "found 3 failed jobs" in said["summary"]
        scene.fires("RedriveUncollected")

        ledger.audited(found=0, uncollected=0)

    scene.clears("RedriveUncollected", "RedriveAuditFound")


def _json(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer.json()
