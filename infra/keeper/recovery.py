"""Recovery: what becomes of a job whose process is gone. It starts again, or it is a dead letter by the crash budget.

A dead letter gets its row here, in the act that makes it: its run keeps the end time of its crash, which the collector's tail may
have passed long ago.

Danger: each change of state is made only from the state that was read: a rescue must not destroy a retry that waits, nor a completion.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from redrive.blocks.core.decision import Decision, GiveUp, after_crash, after_failure
from redrive.blocks.core.errors import Conflict, PolicyError
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.labels import ERROR, ERROR_MESSAGE, REASON, TRACE, count
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import (
    CRASH_COUNTED,
    CRASHES,
    FIRST_FAILURE,
    RESCUES,
    RETRIES,
    step_that_timed_out,
    timed_out,
)
from redrive.blocks.prefect.run_state import forget_process, start_again
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.blocks.prefect.states import CANCELLED, CRASHED, DEAD_LETTER, FAILED, state
from redrive.blocks.process.spent_notes import SpentNotes
from redrive.blocks.retry_policy import effective_policy
from redrive.deployments.catalog import catalog
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.pools import is_job
from redrive.infra.keeper.causes import was_raised
from redrive.infra.keeper.dead_lettering import dead_letter
from redrive.infra.keeper.traced import rescuing

#: Log lines of a process arrive this much later at most: Prefect sends them every 2 s.
LAST_LINES = timedelta(seconds=4)

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


class Recovery:
    """Decides by a job's policy, and carries it out. Call it under the ledger's lock of the run, with the run as read inside."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._spent = SpentNotes.of(settings.home)

    def finish_cancellation(self, run: Run, cause: str) -> Rescued:
        """Of a run that was to be cancelled when its process went."""
        self._set(run, state(CANCELLED, message=f"cancelled by an operator; {cause}"))
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=False, message="its cancellation is finished")

    def start_again(self, run: Run, cause: str) -> Rescued:
        """A run that was only claimed: nothing is counted."""
        crashed = self._set(run, state(CRASHED, message=f"reclaimed: {cause}"))
        labels, message, now = {RESCUES: run.labels.rescues + 1}, f"starts again: {cause}", SERVER_CLOCK.now()
        start_again(
            run.id, state_id=crashed.state_id, at=now, told=now, message=message, retrying=True, labels=labels, only_from=[CRASHED]
        )  # fmt: skip
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=True, message="it never started")

    def after_crash(self, run: Run, cause: str) -> Rescued | None:
        """A run whose process died, as it is now; None while its last log lines may still tell why."""
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
        labels |= self._unheard(run)
        # Counted before anything else happens to it: a rescue that is cut off here must not count it again.
        ask(requests.label(run.id, labels))
        self._spent.remove(str(run.id))
        return self._carry_out(crashed, decision, cause, message=decision.message, labels=labels)

    def give_up(self, run: Run) -> Rescued:
        """A run that cannot be rescued, for a reason nobody foresaw."""
        message = "dead letter: the keeper could not rescue it, see the keeper's log"
        if run.state_type != CRASHED:
            run = self._set(run, state(CRASHED, message="lost"))
        self._dead_letter(run, message, {REASON: "crash", ERROR: message, ERROR_MESSAGE: message})
        return Rescued(run_id=run.id, job=run.job, cause=message, again=False, message=message)

    def _after_timeout(self, run: Run, cause: str, *, tries: int) -> Rescued:
        """A step outlived its timeout and its process was killed for it: a failed try, not a crash."""
        now = SERVER_CLOCK.now()
        step, policy = _of_timeout(run)
        spent = SpentTries.of({**SpentTries.of_run(run.labels).labels(), **self._unheard(run)})
        decision = after_failure(
            policy,
            error=TimeoutError(cause),
            tries=tries,
            first_start=run.labels.first_start or now,
            now=now,
            draw=random.random(),  # noqa: S311  (jitter)
        )
        # Of the tries since the last label all were followed by another one, but for the last one of a dead letter.
        last = 1 if isinstance(decision, GiveUp) else 0
        labels: dict[str, Any] = {
            **timed_out(0),
            **spent.labels(step, tries),
            RETRIES: max(0, run.labels.retries + max(0, tries - spent.of_step(step)) - last),
            FIRST_FAILURE: (run.labels.first_failure or now).isoformat(),
        }
        return self._carry_out(run, decision, cause, message=f"{decision.message}: {cause}", labels=labels)

    def _unheard(self, run: Run) -> dict[str, Any]:
        """The labels of tries that its process noted, as it was killed, and its worker with it, while the API was unavailable."""
        noted = self._spent.find(str(run.id), run.labels.attempt)
        if noted is None:
            return {}
        known, unheard = SpentTries.of_run(run.labels), SpentTries.of(noted)
        spent = known.with_({"": unheard.shared}, unheard.own)
        retries = max(run.labels.retries, count(noted.get(RETRIES)))
        return {} if spent == known else {**spent.labels(), RETRIES: retries}

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
            start_again(
                run.id,
                state_id=run.state_id,
                at=decision.at,
                told=decision.told,
                message=message,
                retrying=True,
                labels=labels,
                only_from=[run.state_type],
            )
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=again, message=decision.message)

    def _dead_letter(self, run: Run, message: str, labels: dict[str, Any]) -> None:
        """The run's last state, and at once its row: nobody else may ever see this end."""
        # Without its worker's name: pressed Retry on in Prefect, it would be that worker's again until another one signs.
        forget_process(run.id, run.state_id, labels)
        failed = state(FAILED, name=DEAD_LETTER, message=message)
        # By force: Prefect's own retries of a flow would keep it for the process that is gone. The condition holds all the same.
        dead = self._set(run, failed, force=True)
        if is_job(dead):
            worker = dead.labels.worker or run.labels.worker
            dead_letter(self._ledger, [replace(dead, labels=replace(dead.labels, worker=worker))])

    def _set(self, run: Run, wanted: Json, *, force: bool = False) -> Run:
        """Change the state of a run that is still in the one it was read in; the run afterwards.

        Raises:
            Conflict: it is in another one by now.
        """
        done = runs.transition(
            run.id, wanted, only_from=[run.state_type], names=[run.state_name], state_id=run.state_id, force=force
        )
        if done.state_id is None:
            raise Conflict(f"run {run.id} was {run.state_name}, and {done.refused}")
        now = runs.by_id([run.id]).get(run.id)
        if now is None or now.state_id != done.state_id:
            raise Conflict(f"run {run.id} was {wanted['name']} for a moment, and somebody else acted on it")
        return now


def _policy(job: str) -> RetryPolicy:
    known = catalog().get(job)
    return effective_policy(job, known.policy) if known else UNKNOWN


def _of_timeout(run: Run) -> tuple[str | None, RetryPolicy]:
    """Whose tries a hard timeout spends: those of a step with a policy of its own, or those of all others."""
    own = step_that_timed_out(run.labels)
    if own is None:
        return None, _policy(run.job)
    try:
        return own[0], RetryPolicy(**own[1])
    except (PolicyError, TypeError):
        # Of another release, or nobody's: the job's policy ends it, at the latest.
        return None, _policy(run.job)
