"""Whether an attempt still holds its run: a host that was cut off may come back when another attempt has the job, or has done it.

By the ids of states: an attempt that is in the Running state in which it began holds its run, whatever the clocks that the states'
times were told by say. Only where somebody suspended or cancels the run, or nobody noted that state, its history decides.

Danger: asked right before anything is reported. Between the answer and the report somebody may still act; therefore an attempt
whose silence was short is not asked for, and states are proposed on the condition that the run is Running.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from prefect.exceptions import Abort

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.past import Past, last_of
from redrive.blocks.prefect.requests import runs
from redrive.blocks.prefect.runs import states_of
from redrive.blocks.prefect.states import CANCELLING, PAUSED, PENDING, RUNNING, PastState

#: States that a run may have had since the attempt began if nobody took it away.
_ITS_OWN = frozenset({RUNNING, CANCELLING, PAUSED})


class Superseded(Abort):
    """Another attempt holds the run, or somebody ended this one: its process leaves without a word to the API."""


def latest_attempt(history: Sequence[Past], *, now: object) -> str | None:
    """The id of the last Pending state of a run that is in the state with the id `now`; None if the run was never claimed."""
    claim = last_of(history, PENDING, now=now)
    return None if claim is None else str(claim.id)


def older_than(history: Sequence[Past], attempt: str | None, running: str | None, run_id: UUID) -> frozenset[str]:
    """Of an attempt that begins: the states with a later time, if it holds its run all the same. They were told before the server's
    clock was put back.
    """
    if attempt is None or is_current(history, attempt) or not holds(state_of(run_id), running):
        return frozenset()
    return frozenset(str(state.id) for state in history) - {attempt, str(running)}


def is_current(history: Sequence[Past], attempt: str, before: Collection[str] = ()) -> bool:
    """Whether nobody but the attempt itself changed the run's state since it began.

    Args:
        history: by time.
        before: ids of states that are older than the attempt, whatever their times.
    """
    history = [state for state in history if str(state.id) not in before]
    begun = next((at for at, state in enumerate(history) if str(state.id) == attempt), None)
    if begun is None:
        # Not one of this run's states: nothing to judge by.
        return True
    return all(state.type in _ITS_OWN for state in history[begun + 1 :])


def holds(state: Past | None, running: str | None) -> bool | None:
    """Whether an attempt that began in the Running state `running` holds a run that is in `state`; None if that does not tell."""
    if state is None or running is None:
        return None
    if str(state.id) == running:
        return True
    # Another attempt's Running looks like that after a pause.
    return None if state.type in _ITS_OWN else False


def require_current(
    run_id: UUID, attempt: str | None, running: str | None = None, before: Collection[str] = ()
) -> None:
    """Raises `Superseded` if another attempt holds the run, or this one was ended from outside.

    Args:
        attempt: its claim, by the id of the Pending state; nothing is asked without one.
        running: the id of the Running state in which it began, if that is known.
        before: as of `is_current`.
    """
    if attempt is None:
        return
    held = holds(state_of(run_id), running) if running else None
    if held is None:
        held = is_current(history_of(run_id), attempt, before)
    if not held:
        raise Superseded(f"attempt {attempt} of run {run_id} was superseded")


def history_of(run_id: UUID) -> list[PastState]:
    """The states of a run, the first one first, by the server's clock."""
    return states_of(run_id)


def state_of(run_id: UUID) -> PastState | None:
    """The state of a run now."""
    raw = ask(runs.read(run_id)).get("state")
    return PastState.of(raw) if raw else None
