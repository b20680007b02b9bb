"""Every alert, end to end: break it, see Prometheus fire it, mend it as its runbook says, see it clear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from redrive.deployments.enqueue import enqueue
from redrive.infra.local.prefect_client import api
from tests.support.alert_scene import AlertScene, alert_scene
from tests.support.job_stack import pointed_at

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

    scene.stack.redrive("dead", "discard", "--queue", "high", "--why", "the test is over")

    scene.clears("RedriveDeadLetters", "RedriveDeadLetterOld", queue="high")
    scene.clears("RedriveFailureRate", "RedriveRetryStorm", queue="high")


def test_forgotten_pause_alerts_until_the_queue_is_resumed(scene: AlertScene) -> None:
    scene.stack.redrive("queues", "pause", "low")
    for _ in range(4):
        enqueue("test-ok", {"folder": str(scene.stack.folder("paused"))}, queue="low")

    said = scene.fires("RedrivePausedTooLong", queue="low")
    assert "`redrive queues resume low`" in said["summary"]
    waiting = scene.prometheus.value('queue_jobs_waiting{queue="low"}')
    scene.clears("RedriveQueueDeep", "RedriveOldestWaiting", "RedriveNothingFinished", queue="low")

    scene.stack.redrive("queues", "resume", "low")

    assert waiting == 4, "the pause hid no backlog, so the silence of the other alerts proves nothing"
    scene.clears("RedrivePausedTooLong", queue="low")


def test_exporter_that_is_gone_alerts_until_it_is_back(scene: AlertScene) -> None:
    with scene.without("exporter"):
        scene.fires("RedriveExporterDown")

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


def _json(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer.json()
