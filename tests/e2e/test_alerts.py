"""Every alert, end to end: break it, see Prometheus fire it, mend it as its runbook says, see it clear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from redrive.blocks.core.exit_codes import ExitCode
from redrive.deployments.enqueue import enqueue
from tests.support.alert_scene import PATIENCE, AlertScene, watched
from tests.support.job_stack import JobStack, pointed_at
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]


@pytest.fixture(scope="module")
def running_scene(running_job_stack: JobStack) -> Iterator[AlertScene]:
    with watched(running_job_stack) as scene:
        yield scene
        scene.clear_what_is_left()


@pytest.fixture
def scene(running_scene: AlertScene) -> Iterator[AlertScene]:
    with pointed_at(running_scene.stack):
        yield running_scene


@pytest.fixture(scope="module")
def silent_keeper(running_scene: AlertScene) -> Iterator[ExitStack]:
    """A keeper that was well and stands still until the end of the block. `redrive check` takes a minute to call it late, which passes
    while tests that need no keeper run.
    """
    with pointed_at(running_scene.stack), ExitStack() as silence:
        wait_until(lambda: finding(running_scene, "keeper")["well"], PATIENCE, "the keeper to be well")
        silence.enter_context(running_scene.silent("keeper"))
        yield silence


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
    scene.leave_to_clear("RedriveFailureRate", "RedriveRetryStorm", queue="high")


def test_dead_letter_of_an_urgent_job_type_alerts_by_that_types_own_patience(scene: AlertScene) -> None:
    enqueue("test-permanent", {"folder": str(scene.stack.folder("urgent"))}, queue="low")

    said = scene.fires("RedriveDeadLetterOld", job="test-permanent", severity="critical")
    assert said["summary"].startswith("Job type test-permanent: a dead letter has been open for")

    scene.stack.redrive("dead", "discard", "--job", "test-permanent", "--why", "the test is over")

    scene.clears("RedriveDeadLetterOld", job="test-permanent")


@pytest.mark.usefixtures("silent_keeper")
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


@pytest.mark.usefixtures("silent_keeper")
def test_exporter_that_is_gone_alerts_until_it_is_back(scene: AlertScene) -> None:
    with scene.without("exporter"):
        scene.fires("RedriveExporterDown")
        assert "`redrive up` starts the exporter" in finding(scene, "exporter")["said"]

    scene.clears("RedriveExporterDown")


def test_frozen_keeper_alerts_and_shows_in_check_and_top_until_it_goes_on(
    scene: AlertScene, silent_keeper: ExitStack
) -> None:
    def keeper() -> dict[str, Any]:
        return finding(scene, "keeper")

    with silent_keeper:
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


def finding(scene: AlertScene, point: str) -> dict[str, Any]:
    """What `redrive check` finds of one point."""
    (found,) = [
        one for one in json.loads(scene.stack.redrive("check", "--json", check=False).stdout) if one["point"] == point
    ]
    return dict(found)
