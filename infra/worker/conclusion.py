"""Runs that their processes could not bring to an end: brought to where they belong.

Danger: a child that is being killed may have reported the end of its job in its last moment. What became of the run is read
from the API before the worker writes anything about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from redrive.blocks.prefect.labels import ATTEMPT
from redrive.blocks.prefect.run_labels import timed_out
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.blocks.prefect.wait import Wait
from redrive.infra.worker.job_process import ProcessEnd
from redrive.infra.worker.run_api import Json, RunApi
from redrive.infra.worker.worker_attempt import Deadline, WorkerAttempt

#: States of a run that somebody has.
IN_PROGRESS = ("PENDING", "RUNNING", "CANCELLING")

#: Runs the hooks of an attempt's run for a state, given as the API has it.
Hooks = Callable[[Json], Awaitable[None]]


async def conclude(api: RunApi, attempt: WorkerAttempt, ending: ProcessEnd | None, worker: str, hooks: Hooks) -> None:
    """Bring a run that its process could not bring to an end to where it belongs.

    Args:
        ending: how the process ended; None if it lives and only the job did not get to its end.
        hooks: called before Cancelled and after Crashed, as Prefect's own worker runs them.

    Raises:
        httpx.HTTPError: the API is unavailable.
    """
    detail = attempt.done["conclusion"] if attempt.done else "none"
    if detail == "reported":
        return
    run = await api.read(attempt.run_id)
    kind = run["state_type"] if run else None
    if run is None or kind not in IN_PROGRESS:
        return
    if detail == "aborted" and kind != "CANCELLING":
        # It gave way to another attempt, say. Only a cancellation that it gave way to is ours to finish.
        return
    if await _is_anothers(api, attempt, run):
        attempt.log.warning("job %s is another attempt's by now: nothing is reported of this one", attempt.run_id)
        return
    if kind == "CANCELLING" or attempt.intent == "cancel":
        await hooks({"type": "CANCELLING", "name": "Cancelling", "message": "Flow run was cancelled."})
        cancelled: Json = {"type": "CANCELLED", "name": "Cancelled", "message": "cancelled by an operator"}
        await api.transition(run["id"], cancelled, only_from=IN_PROGRESS, force=True)
        return
    if labels := spent_labels(run["labels"], attempt.spent, attempt.spent_apart, attempt.too_late):
        await api.label(run["id"], labels)
    if detail == "postponed" or attempt.intent == "reschedule":
        why = (
            "came when the server's clock was put back" if detail == "postponed" else "stopped before the job was done"
        )
        settled = await give_back(api, run, f"worker {worker} {why}; it starts again")
    else:
        settled = await _crash(api, attempt, ending, worker, hooks, run)
    if not settled:
        # What its process asked for in its last moment was done just now: judged again on what it is.
        await conclude(api, attempt, ending, worker, hooks)


async def _is_anothers(api: RunApi, attempt: WorkerAttempt, run: Json) -> bool:
    """Whether another attempt has a run by now."""
    if run["state_type"] == "PENDING":
        # Its id names the attempt that it begins; whoever has that one may not have signed yet.
        return bool(run["state"]["id"] != attempt.claim)
    return run["labels"].get(ATTEMPT) != attempt.claim and await api.latest_claim(run["id"]) != attempt.claim


async def _crash(
    api: RunApi, attempt: WorkerAttempt, ending: ProcessEnd | None, worker: str, hooks: Hooks, run: Json
) -> bool:
    """Say that a run's process died; False if the run is not as it was read any more."""
    why = (
        attempt.killed_for
        or attempt.child.cut_off
        or str(ending or f"its process exited with status code: {attempt.done['status'] if attempt.done else 1}")
    )
    crashed: Json = {"type": "CRASHED", "name": "Crashed", "message": f"worker {worker}: {why}"}
    answer = await api.transition(run["id"], crashed, only_from=("PENDING", "RUNNING"), state_id=run["state"]["id"])
    if answer is not None and answer["status"] == "ACCEPT":
        await hooks(answer["state"])
    return answer is not None


def spent_labels(known: Json, spent: Mapping[str, int], apart: Mapping[str, int], late: Deadline | None) -> Json:
    """The labels that keep what an attempt spent, beside those that are known: its process cannot write them any more.

    Args:
        spent: tries by run of a step.
        apart: by name, of steps with a policy of their own.
        late: the step for whose timeout the process was killed.
    """
    before = SpentTries.of(known)
    now = before.with_(spent, apart)
    labels: Json = {} if now == before else now.labels()
    if late is not None:
        labels |= timed_out(late.tries, step=late.step, own=late.own)
    return labels


async def release(api: RunApi, run: Json, message: str) -> None:
    """Make a claimed run that never began wait for any worker again, if it still is as it was when it was claimed."""
    now = await api.read(run["id"])
    if now is not None and now["state"]["id"] == run["state"]["id"]:
        await give_back(api, now, message)


async def give_back(api: RunApi, run: Json, message: str) -> bool:
    """Make a run wait for any worker, now: nothing failed and nothing crashed. False if it is not as it was read any more."""
    now = SERVER_CLOCK.now()
    if not await api.forget_process(run["id"], run["state"]["id"], dict(Wait.until(now, told=now).label)):
        return False
    only_from = ("PENDING", "RUNNING")
    answer = await api.wait_again(run["id"], message, at=now, only_from=only_from, state_id=run["state"]["id"])
    return answer is not None


def cut_off(attempt: WorkerAttempt, ending: ProcessEnd | None) -> None:
    """End the spans of an attempt whose process is gone."""
    if attempt.spans is None:
        return
    if attempt.intent:
        outcome = "cancelled" if attempt.intent == "cancel" else "handed back"
    else:
        outcome = "timed out" if attempt.killed_for else "crashed"
    attempt.spans.cut_off(kind="timeout" if attempt.killed_for else "crash", said=str(ending or ""), outcome=outcome)
