"""The server's one call that ends a run, or has it wait: only from the very Running state in which its process began."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.states import Running

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import fast
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, COMPLETED, DEAD_LETTER, FAILED, SCHEDULED, identified, state
from redrive.deployments.enqueue import enqueue
from tests.support.job_stack import JobStack
from tests.support.prefect_client import api

pytestmark = pytest.mark.stack


@pytest.fixture
def running(job_stack: JobStack) -> Iterator[UUID]:
    """A job that runs as far as anybody can tell, though no worker has it."""
    run_id = enqueue("test-ok", {"folder": str(job_stack.folder("finish"))}, delay=3600).id
    api().set_flow_run_state(run_id, Running(), force=True)
    yield run_id
    api().delete_flow_run(run_id)


def asked(run_id: UUID, kind: str) -> Json:
    """What the process of a run asks at its end, of the state in which the run is now."""
    name = {SCHEDULED: AWAITING_RETRY, FAILED: DEAD_LETTER}.get(kind)
    at = SERVER_CLOCK.now() + timedelta(hours=1) if kind == SCHEDULED else None
    wanted = identified(state(kind, name=name, at=at, message="by its process"))
    return {"id": str(run_id), "state_id": str(runs.by_id([run_id])[run_id].state_id), "state": wanted}


@pytest.mark.parametrize("kind", [COMPLETED, FAILED, SCHEDULED])
def test_run_that_is_as_it_began_is_ended_and_asked_twice_is_ended_once(running: UUID, kind: str) -> None:
    body = asked(running, kind)

    first, again = (ask(fast.finish(body))["state"] for _ in range(2))

    now = runs.by_id([running])[running]
    assert (now.state_type, now.message) == (kind, "by its process")
    assert {first["id"], again["id"]} == {str(now.state_id)}


@pytest.mark.parametrize("kind", [COMPLETED, FAILED, SCHEDULED])
@pytest.mark.parametrize("meanwhile", [StateType.CANCELLED, StateType.CRASHED, StateType.RUNNING])
def test_run_that_somebody_moved_meanwhile_stays_where_it_is(running: UUID, kind: str, meanwhile: StateType) -> None:
    body = asked(running, kind)
    api().set_flow_run_state(running, State(type=meanwhile, message="somebody was quicker"), force=True)
    before = runs.by_id([running])[running]

    assert ask(fast.finish(body))["state"] is None

    after = runs.by_id([running])[running]
    assert (after.state_id, after.message) == (before.state_id, "somebody was quicker")
