"""What people do to jobs: cancel them, have the next try now, run them again when they ended.

Danger: between reading a job and changing it a worker, the job itself or another person may be quicker. Every change carries the
states it is meant for; what it then meets decides, and the answer says who or what was quicker.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import Missing, ask, reachable
from redrive.blocks.prefect.labels import CANCEL_REASON, CANCELLED_BY, RERUN_AS, RERUN_BY, RERUN_OF, RERUN_REASON
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, CANCELLED, CANCELLING, DEAD_LETTER, FINAL, SCHEDULED, state
from redrive.blocks.prefect.wait import Wait
from redrive.blocks.tracing.creations import followed
from redrive.deployments.enqueue import enqueue_many
from redrive.deployments.job_request import Item
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.search import find_job
from redrive.deployments.queue_names import queues

#: How often a cancel follows a job that changes its state meanwhile: waiting, claimed, running, waiting again.
ROUNDS = 10
#: States that a process or a worker holds.
HELD = frozenset({"PENDING", "RUNNING"})


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """A job that ended and runs again as `run_id`, with the same parameters and a key of its own."""

    id: UUID
    job: str
    name: str
    run_id: UUID


def cancel_job(reference: str | UUID, *, who: str = "an operator", why: str = "") -> Job:
    """Cancel a job: at once if it waits, within seconds if it runs.

    Args:
        who: the person, kept with the job.
        why: reason, kept too.

    Raises:
        NotFound: there is no such job.
        Conflict: it has ended, before or meanwhile.
    """
    run = find_job(reference)
    asked_at = run.state_name
    with reachable():
        for _ in range(ROUNDS):
            if run.state_type in FINAL:
                meanwhile = "ended in the meantime" if run.state_name != asked_at else "has ended already"
                raise Conflict(f"job {run.name} ({run.id}) {meanwhile}: {run.state_name}{_message(run)}")
            if run.state_type == "CANCELLING":
                return Job.of(run)
            stopped = _stopped(run, who, why)
            if runs.transition(
                run.id, stopped, only_from=[run.state_type], names=[run.state_name], state_id=run.state_id
            ):
                # After the fact: a cancel that came too late must not name anybody.
                ask(requests.label(run.id, {CANCELLED_BY: who, CANCEL_REASON: why}))
                return Job.of(_reread(run))
            # It went on, and is cancelled where it is now.
            run = _reread(run)
    raise Conflict(
        f"job {run.name} ({run.id}) changes its state faster than it can be cancelled, now it is {run.state_name}: try again"
    )


def retry_now(reference: str | UUID, *, who: str) -> Job:
    """Start a job's next try now instead of when its backoff is over; the tries it spent stay spent.

    Raises:
        NotFound: there is no such job.
        Conflict: it does not wait (any more); a dead one is for `redrive dead redrive`.
    """
    run = find_job(reference)
    if run.state_type != "SCHEDULED":
        hint = f"; run it again with `redrive dead redrive {run.id}`" if run.state_name == DEAD_LETTER else ""
        raise Conflict(f"job {run.name} ({run.id}) does not wait for a try, it is {run.state_name}{hint}")
    with reachable():
        name = AWAITING_RETRY if run.state_name == AWAITING_RETRY else None
        now = SERVER_CLOCK.now()
        soon = state(SCHEDULED, name=name, at=now, message=f"next try now, asked for by {who}")
        # Before the fact: of any other state it says nothing.
        ask(requests.label(run.id, Wait.until(now, told=now).label))
        if not (
            answer := runs.transition(
                run.id, soon, only_from=["SCHEDULED"], names=[run.state_name], state_id=run.state_id
            )
        ):
            raise Conflict(f"job {run.name} ({run.id}) waits no more: {_quicker(_reread(run), answer.refused)}")
        return Job.of(_reread(run))


def rerun_job(reference: str | UUID, *, who: str, why: str = "") -> Rerun:
    """Ask for the work of a job that completed or was cancelled once more: a new job with the same parameters.

    It has a key of its own, so its effects happen again; each of the two jobs names the other.

    Raises:
        NotFound: there is no such job.
        Conflict: it has not ended, or is dead (which is for a redrive), or its job type is gone.
        ParameterError: its parameters no longer fit the job type.
    """
    run = find_job(reference)
    if run.state_type == "FAILED":
        raise Conflict(f"job {run.name} ({run.id}) is dead; run it again with `redrive dead redrive {run.id}`")
    if run.state_type == "CRASHED":
        raise Conflict(f"job {run.name} ({run.id}) has crashed; the keeper starts it again or makes it a dead letter")
    if run.state_type not in FINAL:
        raise Conflict(f"job {run.name} ({run.id}) has not ended, it is {run.state_name}")
    labels = {RERUN_OF: str(run.id), RERUN_BY: who, **({RERUN_REASON: why} if why else {})}
    queue = run.queue if run.queue in queues() else None
    item = Item(parameters=run.parameters, labels=labels, follows=followed(run.labels, "repeats"))
    (accepted,) = enqueue_many(run.job, [item], queue=queue)
    # Pruned in between, the new job names it all the same.
    with reachable(), suppress(Missing):
        ask(requests.label(run.id, {RERUN_AS: str(accepted.id)}))
    return Rerun(id=run.id, job=run.job, name=run.name, run_id=accepted.id)


def _stopped(run: Run, who: str, why: str) -> Json:
    detail = f"cancelled by {who}" + (f": {why}" if why else "")
    if run.state_type == "RUNNING" or (run.state_type in HELD and run.pid):
        # Only a process has to be asked to stop. One that is just about to leave, to wait for its next try, is noted no more; from
        # Cancelling Prefect lets it go nowhere but to Cancelled, while from Cancelled it could wait and run again.
        return state(CANCELLING, message=detail)
    return state(CANCELLED, message=detail)


def _quicker(now: Run, refused: str) -> str:
    match now.state_type:
        case "PENDING" | "RUNNING":
            return f"{f'worker {now.labels.worker}' if now.labels.worker else 'a worker'} was quicker, it is {now.state_name}"
        case "SCHEDULED":
            return refused
        case _:
            return f"it is {now.state_name}{_message(now)}"


def _message(run: Run) -> str:
    return f" ({run.message})" if run.message else ""


def _reread(run: Run) -> Run:
    found = runs.by_id([run.id]).get(run.id)
    if found is None:
        raise NotFound(f"job {run.name} ({run.id}) was deleted in the meantime")
    return found
