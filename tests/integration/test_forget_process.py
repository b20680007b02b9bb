"""Taking a run from its process: only while it is in the state in which it was read, and with all that is to be written at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.core.errors import Conflict
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.labels import ATTEMPT, TRIES, WORKER
from redrive.blocks.prefect.requests import fast
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_state import forget_process
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import SCHEDULED, state
from redrive.deployments.enqueue import enqueue
from tests.support.job_stack import JobStack

pytestmark = pytest.mark.stack

SIGNED = {WORKER: "the-next", ATTEMPT: "its-claim"}


@pytest.fixture(params=["1", "0"], ids=["fast", "plain"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRIVE_FAST_SERVER", request.param)


@pytest.fixture
def waiting(job_stack: JobStack) -> UUID:
    """A job that is not due for an hour, which a worker has signed all the same."""
    run_id = enqueue("test-ok", {"folder": str(job_stack.folder("signed"))}, delay=3600).id
    ask(requests.label(run_id, SIGNED))
    ask(requests.update(run_id, {"infrastructure_pid": "host:7"}))
    return run_id


def signature(run_id: UUID) -> tuple[Any, ...]:
    run = ask(requests.read(run_id))
    return (run["labels"].get(WORKER), run["labels"].get(ATTEMPT), run["labels"].get(TRIES), run["infrastructure_pid"])


@pytest.mark.usefixtures("_both_ways")
def test_run_that_is_as_it_was_read_is_nobodys_afterwards(waiting: UUID) -> None:
    forget_process(waiting, runs.by_id([waiting])[waiting].state_id, {TRIES: 2})

    assert signature(waiting) == ("", "", 2, None)


@pytest.mark.usefixtures("_both_ways")
def test_run_that_somebody_moved_meanwhile_keeps_its_signature_and_its_process(waiting: UUID) -> None:
    read = runs.by_id([waiting])[waiting].state_id
    moved = state(SCHEDULED, at=SERVER_CLOCK.now(), message="somebody else's")
    moved["state_details"]["scheduled_time"] = "2999-01-01T00:00:00+00:00"
    assert runs.transition(waiting, moved, only_from=[SCHEDULED])

    with pytest.raises(Conflict, match="meanwhile"):
        forget_process(waiting, read, {TRIES: 2})

    assert signature(waiting) == ("the-next", "its-claim", None, "host:7")


def test_of_two_that_read_the_same_state_the_server_itself_refuses_the_late_one(waiting: UUID) -> None:
    """Whoever is late asks for nothing before: no moment in which somebody else could sign lies in between."""
    read = runs.by_id([waiting])[waiting].state_id
    moved = state(SCHEDULED, at=SERVER_CLOCK.now())
    moved["state_details"]["scheduled_time"] = "2999-01-01T00:00:00+00:00"
    assert ask(fast.forget(waiting, read, {TRIES: 1}))
    assert runs.transition(waiting, moved, only_from=[SCHEDULED])
    ask(requests.label(waiting, SIGNED))

    assert not ask(fast.forget(waiting, read, {WORKER: "", TRIES: 2}))

    assert signature(waiting) == ("the-next", "its-claim", 1, None)
