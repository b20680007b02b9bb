"""One trial: N jobs at mixed stages, a fault among them, and what must be true at the end whatever the fault was."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import by_id
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from tests.chaos.fault_stack import FaultStack
from tests.chaos.journal import Line, read_journal
from tests.support.fault_jobs import STAGES
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

#: Shares of ten jobs: some that complete, some that wait once, some that cannot, one that kills its process.
MIXTURE = ("fault-steps",) * 5 + ("fault-flaky",) * 2 + ("fault-hopeless",) * 2 + ("fault-poison",)
DEAD = {"fault-hopeless": "tries", "fault-poison": "crash"}

#: Even Prefect's stock worker does some 0.4 jobs a second here; ten times that long is stuck.
SECONDS_PER_JOB = 25

PAGE = 200
#: Names of the states of jobs that ended for good.
OVER = {"Completed", "DeadLetter", "Failed"}


class Trial:
    """Jobs that were accepted by a stack, and what they did."""

    def __init__(self, stack: FaultStack, size: int, *, seed: int = 1) -> None:
        self.stack = stack
        self.size = size
        self.draw = random.Random(seed)
        self.folder = stack.folder("trial")
        self.jobs: dict[UUID, str] = {}
        self._keys: dict[UUID, str] = {}
        wanted = [MIXTURE[number % len(MIXTURE)] for number in range(size)]
        self.draw.shuffle(wanted)
        for name in wanted:
            self._accept(name)

    def _accept(self, name: str) -> None:
        key = f"{self.folder.name}-{len(self.jobs)}"
        seconds = {"seconds": self.draw.uniform(0, 2)} if name == "fault-steps" else {}
        accepted = self._accepted(name, {"folder": str(self.folder), **seconds}, key)
        self.jobs[accepted] = name
        self._keys[accepted] = key

    def _accepted(self, name: str, parameters: dict[str, Any], key: str) -> UUID:
        """The id of a job. Where the answer was lost, it is asked for again with the same key, as whoever asks should."""
        found: list[UUID] = []

        def asked() -> bool:
            with suppress(ApiUnavailable):
                found.append(enqueue(name, parameters, key=key).id)
            return bool(found)

        wait_until(asked, 120, f"a {name} job to be accepted")
        return found[0]

    # While it runs

    def journal(self) -> list[Line]:
        return read_journal(self.folder)

    def count(self, what: str) -> int:
        return sum(line.what == what for line in self.journal())

    def wait_for_stage(self, share: float) -> None:
        """Until this share of the jobs has begun, so that some are done, some under way and some wait."""
        wanted = max(2, int(share * self.size))

        def begun() -> bool:
            return len({line.run_id for line in self.journal() if line.what == "begin"}) >= wanted

        wait_until(begun, self.size * SECONDS_PER_JOB, f"{wanted} jobs to have begun")

    def wait_for_live(self, count: int = 2) -> None:
        """Until so many of our jobs have a process and have begun to work in it. A trial whose jobs are over is given more."""

        def live() -> bool:
            with suppress(ApiUnavailable):
                if self.ends().keys() <= OVER:
                    for _ in range(2 * count):
                        self._accept("fault-steps")
                    self.size = len(self.jobs)
            return len(self.working()) >= count

        wait_until(live, self.size * SECONDS_PER_JOB, f"{count} jobs at work")

    def working(self) -> list[UUID]:
        pids = {one.pid for each in self.stack.job_processes().values() for one in each}
        last = {line.run_id: line for line in self.journal()}
        return [run_id for run_id, line in last.items() if line.what != "end" and line.pid in pids]

    # How it ends

    def runs(self) -> dict[UUID, Run]:
        ids = list(self.jobs)
        found: dict[UUID, Run] = {}
        for start in range(0, len(ids), PAGE):
            found |= by_id(ids[start : start + PAGE])
        return found

    def ends(self) -> Counter[str]:
        return Counter(run.state_name for run in self.runs().values())

    def wait_for_end(self) -> float:
        """Until every job ended for good; seconds it took from here."""
        began = time.monotonic()

        def over() -> bool:
            return self.ends().keys() <= OVER

        try:
            wait_until(over, self.size * SECONDS_PER_JOB, "every job to end")
        except AssertionError:
            stuck = [
                f"{self.jobs[one.id]} {one.id} {one.state_name} {one.worker}: {one.message}"
                for one in self.runs().values()
                if one.state_name not in OVER
            ]
            raise AssertionError("stuck:\n" + "\n".join(stuck)) from None
        wait_until(lambda: len(self.rows()) >= self._expected_dead(), 60, "the ledger to have every dead letter")
        return time.monotonic() - began

    def rows(self) -> list[Any]:
        """The ledger's rows of these jobs."""
        with self.stack.ledger() as ledger:
            found: list[Any] = []
            cursor: str | None = None
            while True:
                page = ledger.find(Filter(), limit=PAGE, cursor=cursor)
                found += [row for row in page.rows if row.run_id in self.jobs]
                if (cursor := page.next) is None:
                    return found

    def _expected_dead(self) -> int:
        return sum(name in DEAD for name in self.jobs.values())

    def check(self) -> dict[str, object]:
        """Everything that is promised. Returns figures for a note."""
        seconds = self.wait_for_end()
        runs, rows, journal = self.runs(), self.rows(), self.journal()
        self._check_fates(runs, rows)
        self._check_effects(journal)
        crashes = self._check_rescues()
        return {
            "jobs": self.size,
            "executions": sum(line.what == "begin" for line in journal),
            "crashes": crashes,
            "dead": len(rows),
            "seconds to the end after the last fault": round(seconds, 1),
        }

    def _check_fates(self, runs: dict[UUID, Run], rows: list[Any]) -> None:
        assert runs.keys() == self.jobs.keys(), "a job disappeared"
        wrong = {
            (name, runs[one].state_name, runs[one].message)
            for one, name in self.jobs.items()
            if runs[one].state_name != ("DeadLetter" if name in DEAD else "Completed")
        }
        assert not wrong, f"jobs with another fate than theirs: {wrong}"
        dead = {one: DEAD[name] for one, name in self.jobs.items() if name in DEAD}
        recorded = Counter(row.run_id for row in rows)
        amiss = [
            f"{recorded[one]} times {self.jobs[one]} {one}: {[(row.status, row.reason, row.message) for row in rows if row.run_id == one]}"
            for one in recorded.keys() | dead.keys()
            if recorded[one] != (one in dead)
        ]
        assert not amiss, f"the ledger misses a job, has one twice or one that lived: {amiss}"
        other = [(row.job, row.reason, row.message) for row in rows if row.reason != dead[row.run_id]]
        assert not other, f"dead letters with another reason than theirs: {other}"
        assert {(row.status, row.deaths) for row in rows} <= {("open", 1)}

    def _check_effects(self, journal: list[Line]) -> None:
        happened = Counter((line.key, line.what) for line in journal if line.what.startswith("effect:"))
        expected = {
            "fault-steps": [f"effect:{name}" for name in STAGES],
            "fault-flaky": ["effect:flaky"],
        }
        wanted = {(self._keys[one], what) for one, name in self.jobs.items() for what in expected.get(name, [])}
        # An effect whose process died between it and its line in the journal happened, and is found as done before.
        there = {(key, what) for key, what in wanted if (self.folder / f"effect.{key}.{what[7:]}").exists()}
        assert there == wanted, f"effects that never happened: {wanted - there}"
        assert set(happened.values()) <= {1}, "an effect happened twice"
        assert happened.keys() <= wanted, "an effect nobody asked for"
        assert not [line for line in journal if line.what == "overlap"], "two executions of one job at once"
        kept: set[tuple[UUID, str]] = set()
        for line in journal:
            verb, _, name = line.what.partition(":")
            assert not (verb == "start" and (line.run_id, name) in kept), f"completed step {name} ran again"
            if verb == "kept":
                kept.add((line.run_id, name))

    def _check_rescues(self) -> int:
        """Whoever lost a job to a rescue must be dead; the number of crashes."""
        crashed = 0
        for run_id in self.jobs:
            for state in api().read_flow_run_states(run_id):
                if state.type is not None and state.type.value == "CRASHED":
                    crashed += 1
                    said = state.message or ""
                    if said.startswith("rescued: worker "):
                        worker = said.split()[2]
                        assert not self.stack.worker_lives(worker), f"a job of a live worker was rescued: {said}"
        return crashed


Fault = Callable[[Trial], None]
