"""Rescue: jobs whose process died, or whose worker is lost, are reclaimed and started again, or dead-lettered by the crash budget.

A dead letter gets its row here, in the act that makes it: its run keeps the end time of its crash, which the collector's tail may
have passed long ago.

Danger: each decision is taken under the ledger's lock of that run, on the run as read again inside, and each change of state is
made only from the state that was read: a late crash report must not destroy a retry that waits, a rescue not a completion, and
two keepers must not count one crash twice.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from redrive.blocks.core.decision import Decision, GiveUp, after_crash, after_failure
from redrive.blocks.core.errors import Conflict
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import Missing, ask
from redrive.blocks.prefect.labels import ERROR, ERROR_MESSAGE, HARD_TIMEOUT, REASON, TRACE
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import CRASH_COUNTED, CRASHES, FIRST_FAILURE, RESCUES, RETRIES, TRIES
from redrive.blocks.prefect.run_state import forget_process, require_state, start_again
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import CANCELLED, CANCELLING, CRASHED, DEAD_LETTER, FAILED, PENDING, RUNNING, state
from redrive.blocks.retry_policy import effective_policy
from redrive.deployments.catalog import catalog
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.pools import Workers, is_job, pools
from redrive.infra.keeper.causes import brief, was_raised
from redrive.infra.keeper.dead_lettering import UNAVAILABLE, dead_letter
from redrive.infra.keeper.lost import Lost
from redrive.infra.keeper.noted_ends import NotedEnds
from redrive.infra.keeper.processes import JobProcesses
from redrive.infra.keeper.traced import rescuing

log = logging.getLogger("redrive.keeper")

#: A process that reported its own crash may still be on its way out.
LAST_BREATH = timedelta(seconds=1)
#: Log lines of a process arrive this much later at most: Prefect sends them every 2 s.
LAST_LINES = timedelta(seconds=4)
#: How often a job is tried to be rescued that cannot be, for a reason nobody foresaw, before it becomes a dead letter.
RESCUE_TRIES = 3

#: A job whose policy nobody here knows is not started again: it may not bear that.
UNKNOWN = RetryPolicy(max_tries=1, max_crashes=0)


@dataclass(frozen=True, kw_only=True)
class Rescued:
    """What a rescue did: `again` if the job starts again, else it is a dead letter, or its end or its cancellation was finished."""

    run_id: UUID
    job: str
    cause: str
    again: bool
    message: str


class Rescuer:
    """Finds lost jobs and decides what becomes of them."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._lost = Lost(settings)
        self._ends = NotedEnds(settings)
        #: Rescues of a job that failed for a reason nobody foresaw.
        self._failed: Counter[UUID] = Counter()

    def sweep(self, *, now: float) -> list[Rescued]:
        """Judge everything that is in progress; `now` is a monotonic clock in seconds."""
        in_progress = _all([RUNNING, PENDING, CANCELLING])
        crashed = [run for run in _all([CRASHED]) if SERVER_CLOCK.has_passed(LAST_BREATH, since=run.since)]
        # One snapshot of this machine for the whole sweep, taken after the runs were read: what it lacks had ended by then.
        processes = JobProcesses.snapshot(self._settings) if in_progress or crashed else JobProcesses({})
        self._lost.sample(in_progress, processes, Workers.read(), now=now, crashed=crashed)
        for run in [*in_progress, *crashed]:
            if self._lost.left_over(run, processes):
                # The next sweep finds it gone.
                processes.kill(run.id)
        suspects = [run for run in in_progress if self._lost.cause(run, processes)] + crashed
        found = {run.id for run in suspects}
        self._failed = Counter({run_id: count for run_id, count in self._failed.items() if run_id in found})
        return [done for run in suspects if (done := self._try_to_reclaim(run, processes))]

    def missed(self) -> None:
        """The API did not answer."""
        self._lost.missed()

    def _try_to_reclaim(self, run: Run, processes: JobProcesses) -> Rescued | None:
        try:
            with self._ledger.rescue_lock(run.id):
                now = runs.by_id([run.id]).get(run.id)
                if now is None or now.state_id != run.state_id:
                    return None
                if self._failed[run.id] >= RESCUE_TRIES:
                    return self._give_up(now)
                return self._reclaim(now, processes)
        except (Conflict, Missing) as error:
            # One job that somebody else decides about, or that was deleted just now, must not keep the others waiting.
            log.warning("job %s is left for the next sweep: %s", run.id, error)
        except UNAVAILABLE:
            raise
        except Exception:
            # A record that nobody foresaw must not keep the others waiting either.
            self._failed[run.id] += 1
            log.exception("job %s cannot be rescued (%d of %d)", run.id, self._failed[run.id], RESCUE_TRIES)
        return None

    def _reclaim(self, run: Run, processes: JobProcesses) -> Rescued | None:
        if run.state_type == CRASHED:
            if run.id in processes.pids:
                # Crashed by its own word, but its process lives: it could still act.
                return None
            return self._after_crash(run, f"{run.labels.worker or 'its process'}: {brief(run.message)}")
        # Judged on the run as it is now: somebody may have pressed Retry, and another worker signed for it.
        cause = self._lost.cause(run, processes)
        return None if cause is None else self._reclaim_lost(run, cause)

    def _reclaim_lost(self, run: Run, cause: str) -> Rescued | None:
        if run.state_type == CANCELLING:
            self._set(run, state(CANCELLED, message=f"cancelled by an operator; {cause}"))
            return Rescued(run_id=run.id, job=run.job, cause=cause, again=False, message="its cancellation is finished")
        if run.state_type == PENDING and self._lost.is_unsigned(run):
            return self._start_again(run, cause)
        if self._ends.report(run):
            message = "its process had ended it, and died before the server's answer"
            return Rescued(run_id=run.id, job=run.job, cause=cause, again=False, message=message)
        return self._after_crash(run, cause)

    def _start_again(self, run: Run, cause: str) -> Rescued:
        """A run that was only claimed."""
        crashed = self._set(run, state(CRASHED, message=f"reclaimed: {cause}"))
        labels, message, now = {RESCUES: run.labels.rescues + 1}, f"starts again: {cause}", SERVER_CLOCK.now()
        start_again(
            run.id, state_id=crashed.state_id, at=now, message=message, retrying=True, labels=labels, only_from=[CRASHED]
        )  # fmt: skip
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=True, message="it never started")

    def _after_crash(self, run: Run, cause: str) -> Rescued | None:
        if run.labels.hard_timeout:
            return self._after_timeout(run, cause, tries=run.labels.hard_timeout)
        counted = run.labels.crash_counted == str(run.state_id)
        crashes = run.labels.crashes if counted else run.labels.crashes + 1
        decision = after_crash(_policy(run.job), crashes=crashes, cause=cause, now=SERVER_CLOCK.now())
        may_be_explained = run.state_type == CRASHED and isinstance(decision, GiveUp) and was_raised(cause)
        if may_be_explained and not SERVER_CLOCK.has_passed(LAST_LINES, since=run.since):
            # A later sweep finds in its log what ended it.
            return None
        crashed = run if run.state_type == CRASHED else self._set(run, state(CRASHED, message=f"rescued: {cause}"))
        rescues = run.labels.rescues + (0 if counted or isinstance(decision, GiveUp) else 1)
        labels: dict[str, Any] = {CRASHES: crashes, CRASH_COUNTED: str(crashed.state_id), RESCUES: rescues}
        # Counted before anything else happens to it: a rescue that is cut off here must not count it again.
        ask(requests.label(run.id, labels))
        return self._carry_out(crashed, decision, cause, message=decision.message, labels=labels)

    def _after_timeout(self, run: Run, cause: str, *, tries: int) -> Rescued:
        """A step outlived its timeout and its process was killed for it: a failed try, not a crash."""
        now = SERVER_CLOCK.now()
        decision = after_failure(
            _policy(run.job),
            error=TimeoutError(cause),
            tries=tries,
            first_start=run.labels.first_start or now,
            now=now,
            draw=random.random(),  # noqa: S311  (jitter)
        )
        # Of the tries since the last label all were followed by another one, but for the last one of a dead letter.
        last = 1 if isinstance(decision, GiveUp) else 0
        labels: dict[str, Any] = {
            HARD_TIMEOUT: 0,
            TRIES: tries,
            RETRIES: max(0, run.labels.retries + max(0, tries - run.labels.tries) - last),
            FIRST_FAILURE: (run.labels.first_failure or now).isoformat(),
        }
        return self._carry_out(run, decision, cause, message=f"{decision.message}: {cause}", labels=labels)

    def _carry_out(self, run: Run, decision: Decision, cause: str, *, message: str, labels: dict[str, Any]) -> Rescued:
        again = not isinstance(decision, GiveUp)
        labels |= {TRACE: str(run.labels.traced)} if run.labels.traced else {}
        with rescuing(run, outcome="rescued" if again else "dead letter"):
            return self._done(run, decision, cause, message=message, labels=labels)

    def _done(self, run: Run, decision: Decision, cause: str, *, message: str, labels: dict[str, Any]) -> Rescued:
        again = not isinstance(decision, GiveUp)
        if isinstance(decision, GiveUp):
            crashed = decision.reason == "crash"
            verdict = {
                REASON: decision.reason,
                ERROR: cause if crashed else TimeoutError.__name__,
                ERROR_MESSAGE: cause,
            }
            self._dead_letter(run, message, {**labels, **verdict})
        else:
            only_from = [run.state_type]
            start_again(
                run.id, state_id=run.state_id, at=decision.at, message=message, retrying=True, labels=labels, only_from=only_from
            )  # fmt: skip
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=again, message=decision.message)

    def _dead_letter(self, run: Run, message: str, labels: dict[str, Any]) -> None:
        """The run's last state, and at once its row: nobody else may ever see this end."""
        # Without its worker's name: pressed Retry on in Prefect, it would be that worker's again until another one signs.
        require_state(run.id, run.state_id)
        forget_process(run.id, labels)
        failed = state(FAILED, name=DEAD_LETTER, message=message)
        # By force: Prefect's own retries of a flow would keep it for the process that is gone. The condition holds all the same.
        dead = self._set(run, failed, force=True)
        if is_job(dead):
            worker = dead.labels.worker or run.labels.worker
            dead_letter(self._ledger, [replace(dead, labels=replace(dead.labels, worker=worker))])

    def _give_up(self, run: Run) -> Rescued:
        message = "dead letter: the keeper could not rescue it, see the keeper's log"
        if run.state_type != CRASHED:
            run = self._set(run, state(CRASHED, message="lost"))
        self._dead_letter(run, message, {})
        return Rescued(run_id=run.id, job=run.job, cause=message, again=False, message=message)

    def _set(self, run: Run, wanted: Json, *, force: bool = False) -> Run:
        """Change the state of a run that is still in the one it was read in; the run afterwards.

        Raises:
            Conflict: it is in another one by now.
        """
        done = runs.transition(run.id, wanted, only_from=[run.state_type], names=[run.state_name], force=force)
        if done.state_id is None:
            raise Conflict(f"run {run.id} was {run.state_name}, and {done.refused}")
        now = runs.by_id([run.id]).get(run.id)
        if now is None or now.state_id != done.state_id:
            raise Conflict(f"run {run.id} was {wanted['name']} for a moment, and somebody else acted on it")
        return now


def _all(types: Sequence[str]) -> list[Run]:
    return [run for page in runs.pages(Wanted(types=types, pools=pools()), Order.EXPECTED) for run in page]


def _policy(job: str) -> RetryPolicy:
    known = catalog().get(job)
    return effective_policy(job, known.policy) if known else UNKNOWN
