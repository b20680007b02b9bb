"""Runs that their processes could not bring to an end: brought to where they belong.

Danger: a child that is being killed may have reported the end of its job in its last moment. What became of the run is read
from the API before the worker writes anything about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from redrive.blocks.prefect.labels import ATTEMPT, HARD_TIMEOUT, TRIES, count
from redrive.infra.worker.attempt import Attempt
from redrive.infra.worker.job_process import ProcessEnd
from redrive.infra.worker.run_api import Json, RunApi

#: States of a run that somebody has.
IN_PROGRESS = ("PENDING", "RUNNING", "CANCELLING")

#: Runs the hooks of an attempt's run for a state, given as the API has it.
Hooks = Callable[[Json], Awaitable[None]]


async def conclude(api: RunApi, attempt: Attempt, ending: ProcessEnd | None, worker: str, hooks: Hooks) -> None:
    """Bring a run that its process could not bring to an end to where it belongs.

    Args:
        ending: how the process ended; None if it lives and only the job did not get to its end.
        hooks: called before Cancelled and after Crashed, as Prefect's own worker runs them.

    Raises:
        httpx.HTTPError: the API is away.
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
    if run["labels"].get(ATTEMPT) != attempt.claim and await api.latest_claim(run["id"]) != attempt.claim:
        attempt.log.warning("job %s is another attempt's by now: nothing is reported of this one", attempt.run_id)
        return
    if kind == "CANCELLING" or attempt.intent == "cancel":
        await hooks({"type": "CANCELLING", "name": "Cancelling", "message": "Flow run was cancelled."})
        cancelled: Json = {"type": "CANCELLED", "name": "Cancelled", "message": "cancelled by an operator"}
        await api.transition(run["id"], cancelled, only_from=IN_PROGRESS, force=True)
        return
    if labels := _tries(run, attempt):
        await api.label(run["id"], labels)
    if attempt.intent == "reschedule":
        await hand_back(api, run["id"], f"worker {worker} stopped before the job was done; it starts again")
        return
    why = (
        attempt.killed_for
        or attempt.child.cut_off
        or str(ending or f"its process exited with status code: {attempt.done['status'] if attempt.done else 1}")
    )
    crashed: Json = {"type": "CRASHED", "name": "Crashed", "message": f"worker {worker}: {why}"}
    answer = await api.transition(run["id"], crashed, only_from=("PENDING", "RUNNING"))
    if answer and answer["status"] == "ACCEPT":
        await hooks(answer["state"])


def _tries(run: Json, attempt: Attempt) -> Json:
    """The labels that keep what this attempt spent: its process cannot write them any more."""
    if attempt.killed_for and attempt.spent_tries is not None:
        return {HARD_TIMEOUT: attempt.spent_tries}
    spent = max(attempt.spent.values(), default=0)
    return {TRIES: spent} if spent > count(run["labels"].get(TRIES)) else {}


async def release(api: RunApi, run: Json, message: str) -> None:
    """Make a claimed run that never began wait for any worker again, if it still is as it was when it was claimed."""
    now = await api.read(run["id"])
    if now is not None and now["state"]["id"] == run["state"]["id"]:
        await hand_back(api, run["id"], message)


async def hand_back(api: RunApi, run_id: str, message: str) -> None:
    """Make a run wait for any worker, now: nothing failed and nothing crashed."""
    await api.forget_process(run_id)
    await api.wait_again(run_id, message, only_from=("PENDING", "RUNNING"))


def cut_off(attempt: Attempt, ending: ProcessEnd | None) -> None:
    """End the spans of an attempt whose process is gone."""
    if attempt.spans is None:
        return
    if attempt.intent:
        outcome = "cancelled" if attempt.intent == "cancel" else "handed back"
    else:
        outcome = "timed out" if attempt.killed_for else "crashed"
    attempt.spans.cut_off(kind="timeout" if attempt.killed_for else "crash", said=str(ending or ""), outcome=outcome)
