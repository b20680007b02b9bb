"""A stack of one's own whose alerts a real Prometheus looks after, with thresholds of seconds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from redrive.deployments.dead_letters.ledger import Filter
from redrive.infra.local.supervisor import Supervisor
from tests.support.job_stack import JobStack
from tests.support.prometheus import ROOT, Prometheus, running_prometheus, scrapes, tool
from tests.support.waiting import wait_until

THRESHOLDS = Path(__file__).with_name("short_thresholds.yaml")

#: Seconds for what takes a few on a quiet machine.
PATIENCE = 240


class AlertScene:
    """Breaks parts of the stack, and waits for its alerts."""

    def __init__(self, stack: JobStack, prometheus: Prometheus) -> None:
        self.stack = stack
        self.prometheus = prometheus
        self._left: list[tuple[str, dict[str, str]]] = []

    def fires(self, alert: str, **labels: str) -> dict[str, Any]:
        """Wait until that alert fires; what it says, filled in."""
        found = wait_until(lambda: self._firing(alert, labels), PATIENCE, f"{alert} {labels} to fire")
        said: dict[str, Any] = found[0]["annotations"]
        for text in said.values():
            assert "{{" not in text, text
            assert "no value" not in text, text
        return said

    def clears(self, *alerts: str, **labels: str) -> None:
        """Wait until none of those alerts fires."""
        for alert in alerts:
            wait_until(lambda alert=alert: not self._firing(alert, labels), PATIENCE, f"{alert} {labels} to clear")  # type: ignore[misc]  # mypy sees no type in the default

    def leave_to_clear(self, *alerts: str, **labels: str) -> None:
        """Those clear by themselves when their window has passed; `clear_what_is_left` waits for it, other tests need not."""
        self._left += [(alert, labels) for alert in alerts]

    def clear_what_is_left(self) -> None:
        for alert, labels in self._left:
            self.clears(alert, **labels)

    def _firing(self, alert: str, labels: dict[str, str]) -> list[dict[str, Any]]:
        wanted = {"alertname": alert, **labels}
        return [one for one in self.prometheus.alerts() if wanted.items() <= one["labels"].items()]

    @contextmanager
    def without(self, component: str) -> Iterator[None]:
        """That component is stopped meanwhile, and healthy again afterwards."""
        with self._supervisor() as supervisor:
            supervisor.stop(component)
        try:
            yield
        finally:
            with self._supervisor() as supervisor:
                supervisor.start(component)
        wait_until(lambda: self.stack.component(component)["healthy"], PATIENCE, f"{component} to be healthy")

    @contextmanager
    def silent(self, component: str) -> Iterator[None]:
        """That component keeps its connections and answers nothing meanwhile."""
        process = psutil.Process(int(self.stack.component(component)["pid"]))
        family = [process, *process.children(recursive=True)]
        for one in family:
            one.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for one in family:
                one.send_signal(signal.SIGCONT)

    def _supervisor(self) -> Supervisor:
        found = Supervisor.find(self.stack.settings)
        assert found is not None
        return found


@contextmanager
def watched(stack: JobStack) -> Iterator[AlertScene]:
    """A running stack under a Prometheus of its own, with no dead letter of earlier tests that is open."""
    tool("prometheus")
    with stack.ledger() as ledger:
        ledger.discard_all(Filter(status="open"), who="the alerts' tests", why="of earlier tests")
    with tempfile.TemporaryDirectory(prefix="redrive-alerts-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        with running_prometheus(folder / "prometheus", scrapes(stack), _rules(folder)) as prometheus:
            wait_until(lambda: prometheus.value("queue_exporter_up") == 1, PATIENCE, "the exporter to be scraped")
            yield AlertScene(stack, prometheus)


@contextmanager
def own_scene() -> Iterator[AlertScene]:
    """The same with a stack of its own, ended afterwards, whose workers are soon missed and whose schedules make no jobs."""
    tool("prometheus")
    folder = Path(tempfile.mkdtemp(prefix="redrive-alerts-"))
    stack = JobStack(folder / ".redrive", retry_after=20)
    # Prefect calls a worker offline after three heartbeats it missed.
    stack.env["PREFECT_WORKER_HEARTBEAT_SECONDS"] = "10"
    # Schedules make no job unless a test does what the scheduler would.
    stack.env["PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"] = "false"
    try:
        stack.start()
        with watched(stack) as scene:
            yield scene
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _rules(folder: Path) -> Path:
    """The rules with short thresholds, made by the command that makes the real ones."""
    path = folder / "rules.yaml"
    command = [sys.executable, "-m", "redrive.dashboards.alerts", "--thresholds", str(THRESHOLDS), "--rules", str(path)]
    # As somebody with job types of their own would.
    subprocess.run(
        command, check=True, capture_output=True, cwd=ROOT, env={**os.environ, "REDRIVE_JOBS": "tests.support.jobs"}
    )
    return path
