"""Running → how it ended, or when it goes on: the state, its result, and the task runs that the job's process kept, at once.

Danger: a compare-and-set on the id of the Running state. A run that a person or the keeper moved meanwhile is declined, and so
is one to which another rule of Prefect's orchestration applies: its process then asks Prefect's own call.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from prefect.server.events.messaging import publish
from prefect.server.events.schemas.events import Event
from prefect.server.schemas.core import Artifact, FlowRunPolicy
from prefect.server.schemas.states import StateDetails

from redrive.blocks.prefect.private.server import new_id, note_recorded
from redrive.blocks.prefect.requests.fast import ENDS
from redrive.infra.server import task_runs
from redrive.infra.server.begin import DETAILS
from redrive.infra.server.database import Database
from redrive.infra.server.events import Change, publish_changes

_FINISH = """
WITH run AS (
  SELECT fr.id, s.id AS old_id, s.timestamp AS old_at, s.type AS old_type, s.name AS old_name, s.message AS old_message,
    greatest($5, s.timestamp + interval '1 microsecond') AS at
  FROM flow_run fr
  JOIN flow_run_state s ON s.id = fr.state_id
  JOIN deployment d ON d.id = fr.deployment_id
  WHERE fr.id = $1 AND fr.state_id = $2 AND fr.state_type = 'RUNNING'
    AND d.concurrency_limit_id IS NULL
    AND s.state_details->>'deployment_concurrency_lease_id' IS NULL
    AND fr.parent_task_run_id IS NULL
    AND coalesce(fr.empirical_policy->>'resuming', 'false') = 'false'
    AND ($4 <> 'FAILED' OR coalesce(coalesce($13::jsonb, fr.empirical_policy)->>'retries', 'null') = 'null'
      OR fr.run_count > (coalesce($13::jsonb, fr.empirical_policy)->>'retries')::int)
  FOR UPDATE OF fr
), result AS (
  INSERT INTO artifact (id, created, updated, key, type, description, data, flow_run_id)
  SELECT $9, $5, $5, $10, $11, $16, $8::json, id FROM run WHERE $8::text IS NOT NULL
), state AS (
  INSERT INTO flow_run_state (id, created, updated, type, timestamp, name, message, state_details, flow_run_id, result_artifact_id)
  SELECT $3, $5, $5, $4::text::state_type, at, $6, $7, $12::jsonb, id, CASE WHEN $8::text IS NULL THEN NULL ELSE $9 END FROM run
)
UPDATE flow_run fr SET
  state_id = $3, state_type = $4::text::state_type, state_name = $6, state_timestamp = run.at,
  end_time = CASE WHEN $4 = 'SCHEDULED' THEN fr.end_time ELSE coalesce(fr.end_time, run.at) END,
  start_time = CASE WHEN $4 = 'SCHEDULED' THEN fr.start_time ELSE coalesce(fr.start_time, run.at) END,
  next_scheduled_start_time = CASE WHEN $4 = 'SCHEDULED' THEN $15::timestamptz END,
  total_run_time = fr.total_run_time + (run.at - run.old_at),
  flow_version = coalesce($14, fr.flow_version),
  empirical_policy = CASE WHEN $4 = 'FAILED' THEN $17::jsonb || coalesce($13::jsonb, fr.empirical_policy) || '{"retry_type": null}'
    ELSE coalesce($13::jsonb, fr.empirical_policy) END,
  labels = coalesce(fr.labels, '{}'::jsonb) || $18::jsonb,
  infrastructure_pid = CASE WHEN $19 THEN NULL ELSE fr.infrastructure_pid END,
  updated = $5
FROM run WHERE fr.id = run.id
RETURNING fr.id, fr.name, fr.flow_id, fr.deployment_id, fr.work_queue_id, fr.run_count, fr.tags, fr.created_by, run.*
"""
#: The state that an earlier request wrote whose answer was lost: the client repeats it with the same id for the move.
_WRITTEN = """
SELECT s.id, s.type, s.name, s.timestamp, s.message, s.state_details FROM flow_run fr JOIN flow_run_state s ON s.id = fr.state_id
WHERE fr.id = $1 AND s.state_details->>'transition_id' = $2
"""
_POLICY = FlowRunPolicy().model_dump_json()


async def finish(database: Database, body: dict[str, Any]) -> dict[str, Any]:
    """Bring a run from its Running state `state_id` into `state`, with what its process has yet to say of it.

    Beside the task runs that is `labels` to add, and `forget_process` if no process has the run from now on.

    Returns `state` as it was written; None if the run was declined.
    """
    state = body["state"]
    if state["type"] not in ENDS:
        return {"state": None}
    details = StateDetails.model_validate({**(state.get("state_details") or {}), "flow_run_id": body["id"]})
    details.deployment_concurrency_lease_id = None
    if (state["type"] == "SCHEDULED") != (details.scheduled_time is not None):
        return {"state": None}
    events = [Event.model_validate(one) for one in body.get("task_events") or ()]
    known, others = task_runs.split(events, body["id"])
    written = await _write(database, body, details, known)
    if written is None:
        return {"state": await _written_before(database, body["id"], details)}
    row, new = written
    note_recorded([str(event.id) for event in known])
    await publish([event.receive() for event in (*known, *others)])
    before = (row["old_id"], row["old_at"], row["old_type"], row["old_name"], row["old_message"])
    change = Change(
        id=new,
        at=row["at"],
        type=state["type"],
        name=state["name"],
        message=state.get("message"),
        before=before,
        run_count=row["run_count"],
    )
    await publish_changes(database, [(row, change)])
    return {
        "state": {
            "id": new,
            "type": state["type"],
            "name": state["name"],
            "timestamp": row["at"],
            "message": state.get("message"),
            "data": state.get("data"),
            "state_details": details.model_dump(mode="json"),
        }
    }


async def _written_before(database: Database, run_id: str, details: StateDetails) -> dict[str, Any] | None:
    rows = await database.fetch(_WRITTEN, UUID(run_id), str(details.transition_id))
    return {**rows[0], "data": None, "state_details": orjson.loads(rows[0]["state_details"])} if rows else None


async def _write(
    database: Database, body: dict[str, Any], details: StateDetails, known: list[Event]
) -> tuple[asyncpg.Record, UUID] | None:
    state, now, new = body["state"], datetime.now(UTC), new_id()
    data = state.get("data")
    kept = data is not None and not (isinstance(data, dict) and data.get("type") == "unpersisted")
    result = Artifact.from_result(dict(data) if isinstance(data, dict) else data) if kept else Artifact()
    values = (
        UUID(body["id"]),
        UUID(body["state_id"]),
        new,
        state["type"],
        now,
        state["name"],
        state.get("message"),
        orjson.dumps(result.data).decode() if kept else None,
        uuid4(),
        result.key,
        result.type,
        orjson.dumps({**DETAILS, **details.model_dump(mode="json")}).decode(),
        orjson.dumps(body["empirical_policy"]).decode() if body.get("empirical_policy") else None,
        body.get("flow_version"),
        details.scheduled_time,
        result.description,
        _POLICY,
        orjson.dumps(body.get("labels") or {}).decode(),
        bool(body.get("forget_process")),
    )
    async with database.connection() as connection, connection.transaction():
        row = await connection.fetchrow(_FINISH, *values)
        if row is None:
            return None
        if known:
            await task_runs.write(connection, body["id"], known, now)
        return row, new
