"""A change of state by Prefect's own rules, on the condition that the run still is in the state in which it was read.

Danger: judged and changed under one lock on the run's row. Prefect's call for many runs looks for them first and changes them in
another transaction: in between, on a busy server, a run may be taken, or come to its end.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import prefect
from prefect.server.database import provide_database_interface
from prefect.server.models import flow_runs
from prefect.server.orchestration import dependencies
from prefect.server.schemas.actions import StateCreate
from prefect.server.schemas.states import State

from redrive.blocks.prefect.states import CANCELLING
from redrive.infra.server.database import Database


async def change(_: Database, body: dict[str, Any]) -> dict[str, Any]:
    """Propose `state` for run `id` if it is in a state of these `types` (and `names`, and with `state_id`, if given).

    Returns `result` with `status`, `state` and `details` as Prefect's own call answers; None if it is in another state, or deleted.

    Raises:
        ValueError: Prefect watches over how long a run is Cancelling, which its own call begins.
    """
    wanted = State.model_validate(StateCreate.model_validate(body["state"]).model_dump())
    if wanted.type.value == CANCELLING:
        raise ValueError("Cancelling is for Prefect's own call")
    policy = await dependencies.provide_flow_policy()
    parameters = await dependencies.provide_flow_orchestration_parameters()
    run_id = UUID(body["id"])
    database = provide_database_interface()
    async with database.session_context(begin_transaction=True, with_for_update=True) as session:
        read = flow_runs.read_flow_run(session=session, flow_run_id=run_id, for_update=True)
        run = await read  # type: ignore[attr-defined]  # Prefect's decorator loses its type
        if run is None or run.state_type is None or not _fits(run, body):
            return {"result": None}
        result = await flow_runs.set_flow_run_state(
            session=session,
            flow_run_id=run_id,
            state=wanted,
            force=body["force"],
            flow_policy=policy,
            orchestration_parameters=parameters,
            client_version=prefect.__version__,
        )
        _expect_sooner(run, wanted)
    return {"result": result.model_dump(mode="json")}


def _expect_sooner(run: Any, wanted: State) -> None:
    """A run that never began and is due sooner now than when it was made is expected then: lists are in that order, and from then on it
    waits. Prefect keeps the time at which it was made due first.
    """
    due, expected = wanted.state_details.scheduled_time, run.expected_start_time
    if not run.run_count and due and expected and run.next_scheduled_start_time == due < expected:
        run.expected_start_time = due


def _fits(run: Any, body: dict[str, Any]) -> bool:
    if run.state_type.value not in body["types"] or (body["names"] and run.state_name not in body["names"]):
        return False
    return body.get("state_id") is None or str(run.state_id) == body["state_id"]
