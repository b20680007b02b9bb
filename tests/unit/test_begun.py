"""What a job's process keeps of its run, and when it says so."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.events import Event, RelatedResource, Resource
from prefect.states import Completed, Running, to_state_create

from redrive.blocks.prefect.private.begun import Begun

RUN = uuid4()


@pytest.fixture
def sent() -> list[str]:
    return []


@pytest.fixture
def begun(sent: list[str]) -> Begun:
    found = Begun(
        run_id=RUN,
        running=Running(),
        send_update=lambda _: None,
        send_event=lambda event: sent.append(event.event),
        settle=lambda: None,
        notify=lambda _: None,
    )
    assert found.accept(Running(), force=False)
    return found


def event(name: str) -> Event:
    flow_run = RelatedResource({"prefect.resource.id": f"prefect.flow-run.{RUN}", "prefect.resource.role": "flow-run"})
    resource = Resource({"prefect.resource.id": f"prefect.task-run.{uuid4()}"})
    return Event(event=f"prefect.task-run.{name}", resource=resource, related=[flow_run])


def accepted() -> dict[str, Any]:
    state = to_state_create(Completed()).model_dump(mode="json")
    return {"state": {**state, "id": str(uuid4()), "timestamp": "2026-11-30T12:00:00Z"}}


def test_events_go_with_the_end_and_those_that_come_while_the_server_is_asked_go_after_it(
    begun: Begun, sent: list[str]
) -> None:
    assert begun.keep_event(event("Running"))
    body = begun.body(Completed(), force=False)
    assert body is not None
    assert begun.keep_event(event("Completed"))

    assert begun.answered(accepted()) is not None

    assert [one["event"] for one in body["task_events"]] == ["prefect.task-run.Running"]
    assert sent == ["prefect.task-run.Completed"]
    assert not begun.keep_event(event("Late"))


def test_end_that_was_prepared_is_the_one_that_is_asked_for_later(begun: Begun) -> None:
    prepared = begun.prepared(Completed())
    begun.keep_event(event("Running"))
    body = begun.body(Completed(), force=False)

    assert prepared is not None
    assert body is not None
    moves = [one["state"]["state_details"]["transition_id"] for one in (prepared, body)]
    assert moves[0] == moves[1]
    assert (prepared["id"], prepared["state_id"]) == (body["id"], body["state_id"])


def test_note_of_a_return_is_replaced_by_one_with_the_events_where_there_are_any(begun: Begun) -> None:
    notes: list[Any] = []
    begun.note_end = lambda request, result: notes.append((request, result))
    prepared = begun.prepared(Completed())
    assert prepared is not None
    begun.keep_event(event("Running"))

    begun.note_returned(prepared, {"path": "/somewhere", "text": "[1]"})
    begun.note_ahead(Completed(), force=False)

    (first, result), (second, none) = notes
    assert (first["task_events"], result, none) == ([], {"path": "/somewhere", "text": "[1]"}, None)
    assert [one["event"] for one in second["task_events"]] == ["prefect.task-run.Running"]
