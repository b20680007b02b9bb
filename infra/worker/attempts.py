"""All attempts under way in a worker: their slots, limits, cancellations and notes.

Danger: the event stream may miss a cancellation; `look` asks the API about all jobs at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx

from redrive.blocks.process.notes import ProcessNotes
from redrive.blocks.process.spent_notes import SpentNotes
from redrive.blocks.process.worker_report import SlotReport
from redrive.infra.worker.job_process import ChildGone
from redrive.infra.worker.linux import children_of
from redrive.infra.worker.log import Log
from redrive.infra.worker.messages import Intent
from redrive.infra.worker.own_processes import OWN
from redrive.infra.worker.run_api import RunApi
from redrive.infra.worker.worker_attempt import WorkerAttempt

#: Seconds between two polls of deadlines and memory.
LIMITS = 0.2
#: Seconds between two questions about cancellations, with the event stream and without.
POLL, POLL_ALONE = 10.0, 1.5


class Attempts:
    """A set of attempts; iterate over it."""

    def __init__(self, api: RunApi, log: Log) -> None:
        self._api = api
        self._log = log
        self._by_run: dict[str, WorkerAttempt] = {}
        self._held: set[str] = set()
        home = os.environ.get("REDRIVE_HOME")
        self._notes = ProcessNotes.of(Path(home), "jobs") if home else None
        self._spent = SpentNotes.of(Path(home)) if home else None
        self._stops: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[WorkerAttempt]:
        return iter(tuple(self._by_run.values()))

    def __len__(self) -> int:
        return len(self._by_run)

    def of(self, run_id: str) -> WorkerAttempt | None:
        return self._by_run.get(run_id)

    def hold(self, run_id: str) -> None:
        """A slot has this run, whether a child has it at the moment or not."""
        self._held.add(run_id)

    def let_go(self, run_id: str) -> None:
        self._held.discard(run_id)

    def holds(self, run_id: str) -> bool:
        return run_id in self._held

    def begin(self, attempt: WorkerAttempt) -> None:
        """Note it before its child hears of it: should we be killed now, the keeper knows which process to wait for."""
        self._by_run[attempt.run_id] = attempt
        if self._notes and attempt.child.pid:
            self._notes.note(attempt.run_id, attempt.child.pid)

    def end(self, attempt: WorkerAttempt) -> None:
        if self._by_run.get(attempt.run_id) is attempt:
            del self._by_run[attempt.run_id]
            if self._notes:
                self._notes.forget(attempt.run_id)

    def concluded(self, attempt: WorkerAttempt) -> None:
        """What became of it is known, and with that what its process spent."""
        if self._spent:
            self._spent.remove(attempt.run_id)

    def stop(self, attempt: WorkerAttempt, intent: Intent) -> None:
        """Begin to stop one."""
        stopping = asyncio.create_task(attempt.stop(intent))
        self._stops.add(stopping)
        stopping.add_done_callback(self._stops.discard)

    async def suspend(self, attempt: WorkerAttempt) -> None:
        """Tell a job that it was suspended, with the state the server gave it."""
        try:
            run = await self._api.read(attempt.run_id)
            if run and run["state_type"] == "PAUSED":
                await attempt.suspend(run["state"])
        except (httpx.HTTPError, ChildGone):
            # The next look finds it still suspended, or it has ended.
            self._log.debug("could not tell job %s that it was suspended", attempt.run_id)

    async def watch_limits(self) -> None:
        """Runs until cancelled."""
        while True:
            await asyncio.sleep(LIMITS)
            for attempt in self:
                attempt.over_limits()

    async def poll(self) -> None:
        """Ask the API which of the jobs are to be cancelled or were suspended, and each child whether it still listens."""
        for one in self:
            one.child.ping()
        running = [attempt.run_id for attempt in self if not attempt.intent]
        if not running:
            return
        for run_id, name in (await self._api.states(running, ["CANCELLING", "PAUSED"])).items():
            attempt = self.of(run_id)
            if attempt is None:
                continue
            if name == "Suspended":
                await self.suspend(attempt)
            elif name == "Cancelling":
                self.stop(attempt, "cancel")

    def report(self) -> tuple[SlotReport, ...]:
        return tuple(
            SlotReport(
                run_id=one.run_id,
                job=one.flow_name,
                queue=one.due.queue,
                attempt=int(one.due.run.get("run_count") or 0) + 1,
                since=one.since.isoformat(),
            )
            for one in self
        )


def reap_strangers(known: set[int]) -> None:
    """Processes that jobs left behind come to us as their grandparent when their child was killed: end and reap them."""
    with OWN.known() as own:
        for pid in set(children_of(os.getpid())) - known - own:
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
                if not ended:
                    os.kill(pid, signal.SIGKILL)
            except (ChildProcessError, ProcessLookupError):
                continue
