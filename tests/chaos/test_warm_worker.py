"""The warm worker under fire: a child killed every second, the worker twice, Valkey away in between."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest

from redrive.deployments.enqueue import Item, enqueue_many
from tests.chaos.background import Background
from tests.chaos.fault_stack import OUTAGE, PATIENCE, FaultStack, pass_by
from tests.chaos.journal import Line, read_journal
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.slow]

#: Seconds that N jobs may take, a second for each and this much beside: under fire, on a busy machine.
BESIDE = 240
MEGABYTE = 1024 * 1024
#: Open files that come and go with children and connections.
SPARE_FILES = 24


class Fire(Background):
    """Kills one child a second, busy ones first, until told to cease."""

    def __init__(self, stack: FaultStack) -> None:
        super().__init__(1)
        self.stack = stack
        self.draw = random.Random(5)
        self.kills = 0

    def act(self) -> None:
        busy = [each[0] for each in self.stack.job_processes().values()]
        with suppress(psutil.Error, IndexError):
            self.draw.choice(busy or children_of(self.stack)).kill()
            self.kills += 1


def children_of(stack: FaultStack) -> list[psutil.Process]:
    """The worker's warm processes, without those that they are forked from."""
    worker = stack.pid("worker")
    found = psutil.Process(worker).children() if worker else []
    return [one for one in found if one.name() not in {"warm-base", "warm-template"}]


@pytest.mark.parametrize("size", [pytest.param(200, id="small"), pytest.param(2000, id="full", marks=pytest.mark.soak)])
def test_no_job_is_lost_under_fire(stack: FaultStack, size: int) -> None:
    folder = stack.folder("fire")
    accepted = enqueue_many(
        "fault-quick", [Item(parameters={"folder": str(folder)}, key=f"{folder.name}-{n}") for n in range(size)]
    )
    ids = {one.id for one in accepted}
    patience = size + BESIDE

    def done() -> int:
        return len({line.run_id for line in read_journal(folder) if line.what == "end"})

    wait_until(lambda: done() > size * 0.1, patience, "the first jobs to be done")
    with Fire(stack) as fire:
        for share in (0.3, 0.6):
            wait_until(lambda share=share: done() > size * share, patience, f"{share:.0%} of the jobs to be done")  # type: ignore[misc]  # mypy cannot infer it
            before = stack.pid("worker")
            stack.kill_component("worker")
            wait_until(lambda before=before: stack.pid("worker") not in {0, before}, PATIENCE, "the next worker")  # type: ignore[misc]  # as above
            if share < 0.5:
                stack.stop_component("valkey")
                pass_by(OUTAGE)
                stack.start_component("valkey")
        wait_until(lambda: done() >= size * 0.9, patience, "nearly all jobs to be done")
    wait_until(lambda: completed(ids) == size, patience, "every job to be Completed")

    journal = read_journal(folder)
    check_effects(journal, {one.key or "" for one in accepted})
    assert fire.kills >= 3
    wait_until(lambda: len(children_of(stack)) == 4, PATIENCE, "all four slots to have a process")
    assert not [one for one in stack.processes() if one.status() == psutil.STATUS_ZOMBIE]
    assert not zombies_below(stack.pid("worker"))
    print({"jobs": size, "kills": fire.kills, "executions": sum(line.what == "begin" for line in journal)})


@pytest.mark.parametrize("size", [pytest.param(120, id="small"), pytest.param(1000, id="full", marks=pytest.mark.soak)])
def test_a_worker_keeps_neither_memory_nor_files(stack: FaultStack, size: int) -> None:
    folder = stack.folder("flat")
    half = size // 2

    run_all(stack, folder, half)
    worker = psutil.Process(stack.pid("worker"))
    memory, files = total_memory(worker), worker.num_fds()
    run_all(stack, folder, size - half)

    assert stack.pid("worker") == worker.pid
    assert worker.num_fds() <= files + SPARE_FILES
    assert total_memory(worker) <= 1.25 * memory + 20 * MEGABYTE
    assert not zombies_below(worker.pid)


def test_a_worker_told_to_stop_while_its_valkey_is_frozen_still_drains(stack: FaultStack) -> None:
    valkey = psutil.Process(stack.pid("valkey"))
    worker = psutil.Process(stack.pid("worker"))

    with stack.frozen(valkey):
        os.kill(worker.pid, signal.SIGTERM)
        wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, PATIENCE, "its end")

    stack.wait_whole()


def run_all(stack: FaultStack, folder: os.PathLike[str], count: int) -> None:
    accepted = enqueue_many(
        "fault-quick",
        [Item(parameters={"folder": str(folder)}, key=f"flat-{time.time_ns()}-{n}") for n in range(count)],
    )
    wait_until(lambda: completed({one.id for one in accepted}) == count, count + BESIDE, f"{count} jobs to complete")


def completed(ids: set[object]) -> int:
    """How many of the runs are Completed."""
    wanted = [str(one) for one in ids]
    return sum(
        api()
        .request(
            "POST",
            "/flow_runs/count",
            json={"flow_runs": {"id": {"any_": wanted[at : at + 500]}, "state": {"type": {"any_": ["COMPLETED"]}}}},
        )
        .json()
        for at in range(0, len(wanted), 500)
    )


def check_effects(journal: list[Line], keys: set[str]) -> None:
    """Each job's effect happened, and none twice; no two executions of one job at once."""
    happened = Counter(line.key for line in journal if line.what == "effect:quick")
    # The effect of a process that died right after it is found as done before.
    again = {line.key for line in journal if line.what == "again:quick"}
    assert happened.keys() | again == keys
    assert set(happened.values()) <= {1}
    assert not [line for line in journal if line.what == "overlap"]


def total_memory(worker: psutil.Process) -> float:
    """PSS of the worker and all below it."""
    total = 0.0
    for one in [worker, *worker.children(recursive=True)]:
        with suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total


def zombies_below(pid: int) -> list[int]:
    found = []
    for one in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            if one.status() == psutil.STATUS_ZOMBIE:
                found.append(one.pid)
    return found
