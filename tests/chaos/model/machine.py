"""The rules between world and reference: each step is done to both, and what they say afterwards is compared."""

from __future__ import annotations

import sys
import traceback
from typing import ClassVar
from uuid import UUID, uuid4

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.details import cancel_job
from tests.chaos.model.reference import Job
from tests.chaos.model.world import Attempt, World, stepped_clock

#: What a state of the model is called in Prefect.
TYPES = {
    "waiting": "SCHEDULED",
    "running": "RUNNING",
    "dead": "FAILED",
    "completed": "COMPLETED",
    "cancelled": "CANCELLED",
}
HOURS = st.sampled_from([0.0, 1.0, -1.0])
DUTIES = st.sampled_from(["rescue", "collect", "collect widely", "resolve", "unstrand", "bring forward", "audit"])


class NoJobDisappears(RuleBasedStateMachine):
    """Does the same to the world and to the reference."""

    world: ClassVar[World]
    #: What failed first, as it was. Hypothesis repeats the steps, and if they pass then it tells only that they did.
    failures: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[UUID, Job] = {}
        self.attempts: dict[UUID, Attempt] = {}
        self.hours = 0.0

    # Enqueue

    @initialize(count=st.integers(1, 3))
    def some(self, count: int) -> None:
        for _ in range(count):
            self.enqueue()

    @rule()
    def enqueue(self) -> None:
        number = len(self.jobs)
        key = f"model-{uuid4()}"
        with stepped_clock(self.hours):
            accepted = enqueue("model-job", {"number": number}, key=key)
            again = enqueue("model-job", {"number": number}, key=key)
        assert again.id == accepted.id, f"one key made two jobs, {accepted.id} and {again.id}"
        self.jobs[accepted.id] = Job(number)

    # Workers and jobs

    @precondition(lambda self: self.having("waiting"))
    @rule(draw=st.data())
    def start(self, draw: st.DataObject) -> None:
        one = self.pick(draw, "waiting")
        self.attempts[one] = self.world.start(one)
        self.jobs[one].start()

    @precondition(lambda self: self.having("running"))
    @rule(draw=st.data(), how=st.sampled_from(["complete", "fail", "wait", "lose", "report_crash"]))
    def end(self, draw: st.DataObject, how: str) -> None:
        one = self.pick(draw, "running")
        getattr(self.world, how)(self.attempts.pop(one))
        job = self.jobs[one]
        if how in {"lose", "report_crash"}:
            job.state = "lost" if how == "lose" else "crashed"
        else:
            getattr(job, how)()

    # People

    @precondition(lambda self: self.open_rows())
    @rule(draw=st.data())
    def redrive(self, draw: st.DataObject) -> None:
        one = draw.draw(st.sampled_from(self.open_rows()))
        with stepped_clock(self.hours):
            redrive(self.world.ledger, one, who="model")
        self.jobs[one].row = "redriven"
        self.jobs[one].again()

    @precondition(lambda self: self.open_rows())
    @rule(draw=st.data())
    def redrive_edited(self, draw: st.DataObject) -> None:
        one = draw.draw(st.sampled_from(self.open_rows()))
        with stepped_clock(self.hours):
            done = redrive(self.world.ledger, one, who="model", parameters={"number": 1000})
        assert done.run_id != one, f"{one} was redriven as itself, with other parameters"
        self.jobs[one].row = "redriven"
        self.jobs[one].state = "replaced"
        self.jobs[done.run_id] = Job(len(self.jobs), replaces=self.jobs[one])

    @precondition(lambda self: self.open_rows())
    @rule(draw=st.data())
    def discard(self, draw: st.DataObject) -> None:
        one = draw.draw(st.sampled_from(self.open_rows()))
        self.world.ledger.discard(self.world.rows()[one].id, who="model", why="not needed")
        self.jobs[one].row = "discarded"
        self.jobs[one].state = "given up"

    @precondition(lambda self: self.having("dead"))
    @rule(draw=st.data())
    def retry_in_prefect(self, draw: st.DataObject) -> None:
        one = self.pick(draw, "dead")
        self.world.retry_in_prefect(one)
        self.jobs[one].retried_in_prefect()

    @precondition(lambda self: self.having("waiting"))
    @rule(draw=st.data())
    def cancel(self, draw: st.DataObject) -> None:
        one = self.pick(draw, "waiting")
        with stepped_clock(self.hours):
            cancel_job(one)
        self.jobs[one].cancel()

    # The keeper

    @rule(duty=DUTIES)
    def sweep(self, duty: str) -> None:
        """A sweep in between is never wrong, but what it does is judged when all duties are done."""
        if any(job.state in {"lost", "crashed"} for job in self.jobs.values()):
            # It may or may not see them yet; the reference does not guess.
            return self.settle()
        with stepped_clock(self.hours):
            self.world.sweep(duty)
        return None

    @rule()
    def restart_keeper(self) -> None:
        self.world.restart_keeper()

    @rule(hours=HOURS)
    def step_clock(self, hours: float) -> None:
        self.hours = hours

    @rule()
    def settle(self) -> None:
        with stepped_clock(self.hours):
            self.world.settle()
        for job in self.jobs.values():
            job.settle()
        for job in self.jobs.values():
            if job.replaces is not None:
                job.replaces.follow(job)
        self.compare()

    @rule()
    def prune(self) -> None:
        self.settle()
        with stepped_clock(0):
            self.world.prune()
        for job in self.jobs.values():
            job.prune()
        self.compare()

    # The comparison

    def compare(self) -> None:
        """Every accepted job is where the reference has it, in Prefect and in the ledger."""
        runs, rows = self.world.runs(list(self.jobs)), self.world.rows()
        for run_id, job in self.jobs.items():
            run, row = runs.get(run_id), rows.get(run_id)
            where = f"job {job.number} ({run_id}): {job}"
            if job.pruned:
                continue
            status = row.status if row else None
            assert status == job.row or (job.unseen and status in {None, self.after_unseen(job)}), (
                f"{where}: its row is {status}"
            )
            if job.state in TYPES:
                assert run is not None, f"{where}: its run is gone"
                assert run["state_type"] == TYPES[job.state], f"{where}: its run is {run['state_name']}"
            if row is not None and not job.unseen:
                assert row.deaths <= job.deaths, f"{where}: {row.deaths} deaths were counted"

    def after_unseen(self, job: Job) -> str:
        return {"completed": "resolved", "cancelled": "discarded"}.get(job.state, "redriven")

    def teardown(self) -> None:
        """Nothing is left in between: every job ends, and every row says so."""
        if isinstance(failed := sys.exc_info()[1], Exception):
            # A step stopped in its middle: world and reference may differ, and what follows from that hides why.
            self.note_failure(failed)
            return
        try:
            self.bring_to_end()
        except Exception as error:
            self.note_failure(error)
            raise

    def note_failure(self, error: Exception) -> None:
        story = "\n".join(f"{run_id}: {job}" for run_id, job in self.jobs.items())
        self.failures.append(f"{''.join(traceback.format_exception(error))}\nclock {self.hours:+g} h\n{story}")

    def bring_to_end(self) -> None:
        if not self.jobs:
            return
        self.hours = 0.0
        self.settle()
        for run_id in list(self.jobs):
            job = self.jobs[run_id]
            if job.state == "waiting" and not job.pruned:
                self.attempts[run_id] = self.world.start(run_id)
                job.start()
            if job.state == "running":
                self.world.complete(self.attempts.pop(run_id))
                job.complete()
        self.settle()
        unsettled = [job for job in self.jobs.values() if job.state in {"waiting", "running", "lost", "crashed"}]
        assert not unsettled, f"left in between: {unsettled}"

    # Choosing

    def having(self, state: str) -> list[UUID]:
        return [one for one, job in self.jobs.items() if job.state == state and not job.pruned]

    def open_rows(self) -> list[UUID]:
        return [one for one in self.having("dead") if self.jobs[one].row == "open"]

    def pick(self, draw: st.DataObject, state: str) -> UUID:
        return draw.draw(st.sampled_from(self.having(state)))
