"""All faults mixed while people press buttons; one operation history of it, judged by a checker that knows nothing else."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import PAGE, by_id
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter
from redrive.deployments.enqueue import enqueue
from tests.chaos.background import Background
from tests.chaos.checker import check
from tests.chaos.fault_stack import LEASE, PATIENCE, FaultStack, kill, pass_by
from tests.chaos.history import History, read
from tests.chaos.people import People
from tests.chaos.trial import MIXTURE, SECONDS_PER_JOB
from tests.support.tcp_proxy import TcpProxy, proxied
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.slow]

#: Seconds between two small faults.
PACE = 2.5
OVER = {"Completed", "DeadLetter", "Failed", "Cancelled"}


class Killer(Background):
    """`kill -9` of a child, the worker, the keeper or the exporter, one after another, until the block ends."""

    def __init__(self, stack: FaultStack, history: History, draw: random.Random) -> None:
        super().__init__(PACE)
        self._stack, self._history, self._draw = stack, history, draw

    def act(self) -> None:
        what = self._draw.choice(["child", "child", "child", "worker", "worker alone", "keeper", "exporter"])
        self._history.fault(f"kill {what}")
        with suppress(psutil.Error, ProcessLookupError, OSError):
            self._kill(what)

    def _kill(self, what: str) -> None:
        if what == "child":
            if busy := list(self._stack.job_processes().values()):
                kill(*self._draw.choice(busy))
        elif what.startswith("worker"):
            self._stack.kill_worker(with_children=what == "worker")
        elif pid := self._stack.pid(what):
            os.kill(pid, signal.SIGKILL)


def outages(
    stack: FaultStack, proxy: TcpProxy, host: str, jobs: dict[UUID, str], killer: Killer | None
) -> list[Callable[[], None]]:
    """The larger faults, each begun and ended; `host` names the worker that reaches the API through the proxy.

    With a `killer`, the host stays cut off until its jobs are reclaimed.
    """

    def server_frozen() -> None:
        with stack.frozen(psutil.Process(stack.pid("prefect"))):
            pass_by(LEASE + 4)

    def server_killed() -> None:
        stack.kill_component("prefect")
        wait_until(lambda: stack.pid("prefect"), PATIENCE, "the next server")

    def database_killed() -> None:
        kill(*stack.postgres_processes())
        wait_until(lambda: stack.pid("postgres"), PATIENCE, "the next database")

    def cut_off() -> set[UUID]:
        """The jobs that the host had when its network broke."""
        wait_until(lambda: held_by(host, jobs) or ends(jobs) <= OVER, PATIENCE, "the host to have a job")
        proxy.cut()
        pass_by(PACE)
        # What was on its way has arrived by now.
        lost = held_by(host, jobs)
        pass_by(3 * LEASE - PACE)
        if killer:
            # The keeper may have been killed meanwhile, and the next one counts a lease of silence from its own start.
            with killer.resting():
                wait_until(lambda: not held_by(host, lost), PATIENCE, "the jobs of the silent host to be reclaimed")
        proxy.heal()
        return lost

    def host_cut_off() -> None:
        # Cut off without a job it would lose nothing. If all are through already, there is none to wait for.
        while not cut_off() and killer and not ends(jobs) <= OVER:
            pass_by(PACE)

    def keeper_gone() -> None:
        stack.stop_component("keeper")
        pass_by(3 * LEASE)
        stack.start_component("keeper")

    return [host_cut_off, database_killed, server_frozen, keeper_gone, server_killed]


@pytest.mark.parametrize("size", [pytest.param(20, id="small"), pytest.param(150, id="full", marks=pytest.mark.soak)])
def test_no_job_is_lost_or_doubled_with_everything_at_once(stack: FaultStack, tmp_path: Path, size: int) -> None:
    draw = random.Random(7)
    history = History(tmp_path / "history.jsonl")
    folder = stack.folder("everything")
    jobs: dict[UUID, str] = {}
    with proxied(stack.settings.prefect_port) as proxy:
        host = f"cut-off-{size}"
        stack.start_worker_elsewhere(host, slots=3, port=proxy.port)
        for number in range(size):
            name, key = MIXTURE[number % len(MIXTURE)], f"{folder.name}-{number}"
            seconds = {"seconds": draw.uniform(0, 3)} if name == "fault-steps" else {}
            accepted = enqueue(name, {"folder": str(folder), **seconds}, key=key)
            jobs[accepted.id] = name
            history.accepted(accepted.id, name, key)

        # Where the small trial looks, each rescue path is a matter of luck; the full one must have seen all of these.
        paths = ["worker reported", "worker gone", "worker silent"] if size > 100 else []
        with Killer(stack, history, draw) as killer, People(stack, history, list(jobs), random.Random(8)):
            faults = outages(stack, proxy, host, jobs, killer if paths else None)
            for outage in faults if paths else faults[:2]:
                history.fault(outage.__name__)
                outage()
                pass_by(PACE)

        wait_until(lambda: ends(jobs) <= OVER, size * SECONDS_PER_JOB + PATIENCE, "every job to end")
        wait_until(
            lambda: settled(stack, jobs), PATIENCE, "the ledger to have every dead letter and to close every other row"
        )
    history.finish(folder, jobs, rows(stack, jobs))
    verdict = check(read(history.path), paths=paths)
    print(verdict)
    assert not verdict.problems, verdict


def held_by(worker: str, jobs: Collection[UUID]) -> set[UUID]:
    """Those of these jobs that run on it, as far as Prefect knows."""
    return {run.id for run in runs_of(list(jobs)).values() if run.state_type == "RUNNING" and run.worker == worker}


def ends(jobs: dict[UUID, str]) -> set[str]:
    """The names of the states that these jobs are in."""
    return {run.state_name for run in runs_of(list(jobs)).values()}


def settled(stack: FaultStack, jobs: dict[UUID, str]) -> bool:
    """Whether the ledger says of each job what its run says."""
    found = {row.run_id: row.status for row in rows(stack, jobs)}
    for run in runs_of(list(jobs)).values():
        wanted = {"open", "discarded"} if run.state_type == "FAILED" else {None, "resolved", "discarded"}
        if found.get(run.id) not in wanted:
            return False
    return True


def rows(stack: FaultStack, jobs: dict[UUID, str]) -> list[DeadLetter]:
    """The ledger's rows of these jobs."""
    found: list[DeadLetter] = []
    cursor = None
    with stack.ledger() as ledger:
        while True:
            page = ledger.find(Filter(), limit=200, cursor=cursor)
            found += [row for row in page.rows if row.run_id in jobs]
            if (cursor := page.next) is None:
                return found


def runs_of(ids: list[UUID]) -> dict[UUID, Run]:
    """The runs, a page of the API at a time."""
    found: dict[UUID, Run] = {}
    for start in range(0, len(ids), PAGE):
        found |= by_id(ids[start : start + PAGE])
    return found
