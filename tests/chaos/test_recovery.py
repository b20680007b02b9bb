"""How work goes on after a fault, in the terms of hardbyte's public harness: completion rate before and after, jobs lost, recovery time.

A producer asks for jobs at a steady pace while the fault strikes. The table stands in tests/README.md; nothing here asserts a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.prefect.runs import by_id
from redrive.deployments.enqueue import enqueue
from tests.chaos.background import Background
from tests.chaos.checker import check
from tests.chaos.fault_stack import PATIENCE, FaultStack, pass_by
from tests.chaos.history import History, read
from tests.chaos.journal import read_journal
from tests.support.tcp_proxy import proxied
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.soak, pytest.mark.timeout(3600)]

#: Jobs a second that are asked for, and seconds that are measured before and after.
PACE, WINDOW = 3.0, 20.0
FROZEN = 10.0


class Producer(Background):
    """Asks for quick jobs at a steady pace until the block ends; asks again with the same key where nothing answered."""

    def __init__(self, history: History, folder: Path) -> None:
        super().__init__(1 / PACE)
        self.accepted: dict[UUID, str] = {}
        self._history, self._folder = history, folder
        self._number = 0

    def act(self) -> None:
        key = f"{self._folder.name}-{self._number}"
        with suppress(ApiUnavailable):
            job = enqueue("fault-quick", {"folder": str(self._folder)}, key=key)
            self.accepted[job.id] = key
            self._history.accepted(job.id, "fault-quick", key)
            self._number += 1


def postgres_restarted(stack: FaultStack) -> None:
    stack.stop_component("postgres")
    stack.start_component("postgres")


def postgres_frozen(stack: FaultStack) -> None:
    with stack.frozen(*stack.postgres_processes()):
        pass_by(FROZEN)


def workers_killed(stack: FaultStack) -> None:
    for _ in range(5):
        stack.kill_worker(with_children=True)
        pass_by(5)


def server_killed(stack: FaultStack) -> None:
    stack.kill_component("prefect")


def network_cut(stack: FaultStack) -> None:
    """Of the only worker, which is on another host."""
    assert stack.proxy
    stack.proxy.cut()
    pass_by(FROZEN)
    stack.proxy.heal()


FAULTS: list[Callable[[FaultStack], None]] = [
    postgres_restarted, postgres_frozen, workers_killed, network_cut, server_killed,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_work_goes_on_after_a_fault(stack: FaultStack, tmp_path: Path, fault: Callable[[FaultStack], None]) -> None:
    history, folder = History(tmp_path / "history.jsonl"), stack.folder(fault.__name__)
    with proxied(stack.settings.prefect_port) as proxy:
        stack.proxy = proxy
        if fault is network_cut:
            stack.start_worker_elsewhere("behind-a-network", slots=4, port=proxy.port)
            stack.stop_component("worker")
        with Producer(history, folder) as producer:
            wait_until(lambda: completions(folder), PATIENCE, "the first job to complete")
            pass_by(WINDOW)
            struck = monotonic()
            fault(stack)
            over = monotonic()
            wait_until(
                lambda: [at for at in completions(folder) if at > over], PATIENCE, "a job to complete after the fault"
            )
            first = min(at for at in completions(folder) if at > over)
            pass_by(first + WINDOW - monotonic())
            measured = monotonic()
        if fault is network_cut:
            stack.start_component("worker")
        wait_until(lambda: over_for_good(producer.accepted), PATIENCE * 3, "every accepted job to end")
    history.finish(folder, producer.accepted, [])

    verdict = check(read(history.path))
    done = completions(folder)
    before = sum(struck - WINDOW <= at < struck for at in done) / WINDOW
    after = sum(first <= at < measured for at in done) / (measured - first)
    rates = f"{before:.1f}/s | {after:.1f}/s | {first - over:.1f} s"
    print(f"\n| {fault.__name__} | {rates} | {len(producer.accepted)} | {len(verdict.problems)} |")
    assert not verdict.problems, verdict
    assert verdict.outcomes == {"Completed": len(producer.accepted)}


def completions(folder: Path) -> list[float]:
    """When each job completed, by its own word."""
    return [line.at for line in read_journal(folder) if line.what == "end"]


def over_for_good(accepted: dict[UUID, str]) -> bool:
    ids = list(accepted)
    found = [run for start in range(0, len(ids), 200) for run in by_id(ids[start : start + 200]).values()]
    return len(found) == len(ids) and {run.state_name for run in found} <= {"Completed", "DeadLetter", "Failed"}
