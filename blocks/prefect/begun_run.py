"""The run that this process was given as Running already: how it leaves by the server's one call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # public in its documentation
from prefect.states import Completed

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.labels import NOBODY
from redrive.blocks.prefect.private.begun import begun_run
from redrive.blocks.prefect.private.clients import settle_events
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import fast


def finish(request: Json) -> Json:
    """The server's answer to `fast.finish`; one that declines where the server has no such call.

    Raises:
        ApiUnavailable: the server does not answer; asking again does no harm.
    """
    with fast.UnlessAbsent():
        return ask(fast.finish(request))
    return {"state": None}


def note_completed(run_id: UUID, result: Any) -> None:
    """Note that this process's run has done its work, if its result is stored: killed from here on, the job does not run again.

    Args:
        run_id: of the run; one that was not begun by the server's call has no notes.
        result: the stored record; anything else is stored by the engine first.
    """
    begun = begun_run(run_id)
    if begun is not None and isinstance(result, ResultRecord):
        begun.note_ahead(Completed(data=result), force=False)


def prepared_end(run_id: UUID, result: ResultRecord[Any]) -> Json | None:
    """What is asked of the server once this process's run has completed with that record as its result; None as for `note_completed`."""
    begun = begun_run(run_id)
    return begun.prepared(Completed(data=result)) if begun is not None else None


def note_returned(run_id: UUID, end: Json, *, path: str, text: str) -> None:
    """Note that this process's run has done its work, its result with it: `text`, for the file at `path`, which is written next.

    Args:
        end: of `prepared_end`.
    """
    begun = begun_run(run_id)
    if begun is not None:
        begun.note_returned(end, {"path": path, "text": text})


def leave_to_wait(run_id: UUID, waiting: Json, labels: Json) -> UUID | None:
    """Make this process's run wait, with labels to add and no process any more; the id of its new state.

    None where the run was not begun by the server's call, or the server leaves it to Prefect's own calls: nothing was changed then.

    Args:
        run_id: of the run.
        waiting: a state of type SCHEDULED, as `states.state` makes it.
        labels: to add.

    Raises:
        ApiUnavailable: the server does not answer; asking again does no harm.
    """
    begun = begun_run(run_id)
    if begun is None:
        return None
    settle_events()
    body = begun.body(State.model_validate(waiting), force=False)
    if body is None:
        return None
    # As the API takes it from outside; only what an engine proposes says that it does not know.
    del body["state"]["state_details"]["deferred"]
    body |= {"labels": {**labels, **NOBODY}, "forget_process": True}
    with begun.noted(body):
        answer = finish(body)
        accepted = begun.answered(answer)
    if accepted is None:
        begun.leave()
        return None
    return UUID(answer["state"]["id"])
