"""Every query of every dashboard shows something, asked of a real Prometheus that scraped the real exporter under work."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from redrive.deployments.enqueue import enqueue
from redrive.deployments.queues import pause_queue
from tests.support.grafana import Asked, boards, queries
from tests.support.job_stack import JobStack, pointed_at
from tests.support.prometheus import Prometheus, running_prometheus, scrapes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

#: Seconds for things that take some when other tests keep the machine busy.
PATIENCE = 300

#: Values of the dashboards' variables: one queue that did work, and whichever job type has what a panel shows.
CHOSEN = {"queue": "default", "job": ".*"}


@dataclass(frozen=True)
class Scene:
    """A stack that did work of every kind, and the Prometheus that saw it."""

    prometheus: Prometheus
    stack: JobStack
    since: float

    def shows(self, asked: Asked) -> bool:
        """Whether a query has a figure, now or at some time of the scene."""
        if asked.instant:
            found = [series["value"] for series in self.prometheus.query(asked.expr)]
        else:
            ranged = self.prometheus.query_range(asked.expr, start=self.since, end=time.time(), step=2)
            found = [value for series in ranged for value in series["values"]]
        return any(math.isfinite(float(value)) for _, value in found)


@pytest.fixture(scope="module")
def scene(running_job_stack: JobStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stack = running_job_stack
    folder = tmp_path_factory.mktemp("prometheus")
    with pointed_at(stack), running_prometheus(folder, scrapes(stack)) as prometheus:
        scene = Scene(prometheus, stack, time.time())
        work(scene)
        yield scene


def work(scene: Scene) -> None:
    """Jobs that complete, fail, are tried again, rescued, delayed, paused, redriven and discarded."""
    stack, prometheus = scene.stack, scene.prometheus
    folder = stack.folder("dashboards")
    wait_until(lambda: prometheus.value("queue_exporter_up") == 1, PATIENCE, "the exporter to be scraped")

    # What the stack did before this scene is none of it.
    before = failures(prometheus)
    pause_queue("low", paused=True)
    enqueue("test-ok", {"folder": str(folder)}, queue="low")
    enqueue("test-ok", {"folder": str(folder)}, at=datetime.now(UTC) + timedelta(hours=1))
    enqueue("test-flaky", {"folder": str(folder), "good_at": 3})
    enqueue("test-die", {"folder": str(folder), "times": 1})
    first = some_work(folder)
    wait_until(lambda: failures(prometheus) >= before + len(first), PATIENCE, "the first jobs to be counted")
    rows = [stack.dead_letter(run) for run in first]
    stack.redrive("dead", "discard", str(rows[0].id), "--why", "a test")
    (folder / "mended").touch()
    stack.redrive("dead", "redrive", str(rows[1].id), "--why", "a test")
    # A series that appears with its first job shows no rate; only later jobs do.
    second = some_work(stack.folder("dashboards"))
    both = len(first) + len(second)
    wait_until(lambda: failures(prometheus) >= before + both, PATIENCE, "the second jobs to be counted")
    # The exporter looks at an idle queue now and then; a shorter pause is none to it.
    wait_until(lambda: prometheus.value('queue_paused{queue="low"}') == 1, PATIENCE, "the pause to be seen")
    pause_queue("low", paused=False)


def some_work(folder: Path) -> list[UUID]:
    """Jobs that complete, and the runs of two that fail."""
    for _ in range(2):
        enqueue("test-ok", {"folder": str(folder)})
    return [enqueue("test-fail-once", {"folder": str(folder), "message": f"case {n}"}).id for n in range(2)]


def failures(prometheus: Prometheus) -> float:
    return prometheus.value('sum(queue_jobs_failed_total{job="test-fail-once"})') or 0


@pytest.mark.parametrize("uid", sorted(boards()))
def test_every_panel_shows_something(uid: str, scene: Scene) -> None:
    left = set(queries(boards()[uid], **CHOSEN))

    def all_shown() -> bool:
        left.difference_update({asked for asked in left if scene.shows(asked)})
        return not left

    with suppress(AssertionError):
        wait_until(all_shown, 60, "all figures")
    assert not left, "without a figure: " + "\n".join(sorted(map(str, left)))
