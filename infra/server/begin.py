"""Scheduled → Pending → Running for many runs at once, with the worker's labels: what a claim and a start need.

Danger: only runs to which no other rule of Prefect's orchestration applies are begun; this is decided in the statement itself,
under the lock on the run's row, which is waited for: Prefect's own search for due runs locks what it finds, and a run that was passed
over for that would go Prefect's way, without a note of its end. Rows are locked in the order of their ids, so that no two beginnings
wait for each other. Of all workers that ask for a run, one is given it. The others find it in another state.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from prefect.server.schemas.states import StateDetails

from redrive.blocks.prefect.labels import ATTEMPT
from redrive.blocks.prefect.private.server import new_id
from redrive.infra.server.database import Database
from redrive.infra.server.events import Change, publish_changes

DETAILS: dict[str, Any] = StateDetails().model_dump(mode="json")
#: Of a state that the engine of a flow proposes: it says so of every field.
PROPOSED: dict[str, Any] = {**DETAILS, "deferred": None}

#: Id, time and details of a state.
_Written = tuple[UUID, datetime, dict[str, Any]]

#: Between the two states of a run: no two may have the same time.
STEP = timedelta(microseconds=1)

_BEGIN = """
WITH want AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[])
    AS w(id, pending_id, running_id, pid, pending_move, running_move)
), due AS (
  SELECT fr.id, s.id AS old_id, s.timestamp AS old_at, s.type AS old_type, s.name AS old_name, s.message AS old_message,
    s.state_details->>'scheduled_time' AS at, w.pending_id, w.running_id, w.pid, w.pending_move, w.running_move
  FROM want w
  JOIN flow_run fr ON fr.id = w.id
  JOIN flow_run_state s ON s.id = fr.state_id
  JOIN deployment d ON d.id = fr.deployment_id
  JOIN work_queue q ON q.id = fr.work_queue_id
  JOIN work_pool p ON p.id = q.work_pool_id
  WHERE fr.state_type = 'SCHEDULED' AND s.type = 'SCHEDULED'
    AND fr.next_scheduled_start_time <= $7 AND (s.state_details->>'scheduled_time')::timestamptz <= $7
    AND d.concurrency_limit_id IS NULL
    AND s.state_details->>'deployment_concurrency_lease_id' IS NULL
    AND fr.parent_task_run_id IS NULL
    AND coalesce(fr.empirical_policy->>'resuming', 'false') = 'false'
    AND coalesce(fr.empirical_policy->>'retry_type', '') <> 'in_process'
    AND NOT q.is_paused AND NOT p.is_paused
    AND fr.infrastructure_document_id IS NULL
  ORDER BY fr.id
  FOR UPDATE OF fr
), states AS (
  INSERT INTO flow_run_state (id, created, updated, type, timestamp, name, state_details, flow_run_id)
  SELECT pending_id, $7, $7, 'PENDING'::state_type, $7, 'Pending',
    $9::jsonb || jsonb_build_object('flow_run_id', id, 'transition_id', pending_move, 'scheduled_time', at), id FROM due
  UNION ALL
  SELECT running_id, $7, $7, 'RUNNING'::state_type, $8, 'Running',
    $12::jsonb || jsonb_build_object('flow_run_id', id, 'transition_id', running_move), id FROM due
)
UPDATE flow_run fr SET
  state_id = due.running_id, state_type = 'RUNNING', state_name = 'Running', state_timestamp = $8,
  start_time = coalesce(fr.start_time, $8), next_scheduled_start_time = NULL, run_count = fr.run_count + 1,
  expected_start_time = coalesce(fr.expected_start_time, $7),
  labels = coalesce(fr.labels, '{}'::jsonb) || $10::jsonb || jsonb_build_object($11::text, due.pending_id),
  infrastructure_pid = due.pid, updated = $8
FROM due WHERE fr.id = due.id
RETURNING fr.id, fr.name, fr.flow_id, fr.deployment_id, fr.work_queue_id, fr.run_count, fr.tags, fr.created_by, due.*
"""

#: Runs that an earlier request began whose answer was lost: the client repeats it with the same id for the move.
_BEGUN = """
SELECT fr.id, fr.run_count, p.id AS pending_id, p.timestamp AS pending_at, p.state_details AS pending_details,
  r.id AS running_id, r.timestamp AS running_at, r.state_details AS running_details
FROM unnest($1::uuid[], $2::uuid[]) AS w(id, move)
JOIN flow_run fr ON fr.id = w.id
JOIN flow_run_state r ON r.id = fr.state_id AND r.type = 'RUNNING' AND r.state_details->>'transition_id' = w.move::text
JOIN flow_run_state p ON p.id::text = fr.labels->>$3
"""

#: Runs that do not wait any more, or were deleted.
_GONE = """
SELECT w.id FROM unnest($1::uuid[]) AS w(id) LEFT JOIN flow_run fr ON fr.id = w.id WHERE coalesce(fr.state_type <> 'SCHEDULED', true)
"""


async def begin(database: Database, body: dict[str, Any]) -> dict[str, Any]:
    """Begin runs: `runs` with `id`, `pid` and `move`, an id of the request for each; `labels` for all of them.

    Returns `begun`: by run id its two new states; `gone`: runs that somebody else has by now. Others have to go Prefect's way.
    """
    runs = body["runs"]
    for last in (False, True):
        try:
            rows, now = await _write(database, runs, body["labels"])
            break
        except asyncpg.UniqueViolationError:
            # A state of the very same microsecond: the clock was put back, say.
            if last:
                raise
    begun, changes = {}, []
    for row in rows:
        then = now + STEP
        details = {**DETAILS, "flow_run_id": row["id"]}
        moves = {"scheduled_time": row["at"], "transition_id": row["pending_move"]}
        begun[str(row["id"])] = _states(
            (row["pending_id"], now, {**details, **moves}),
            (row["running_id"], then, {**details, "deferred": None, "transition_id": row["running_move"]}),
        )
        before = (row["old_id"], row["old_at"], row["old_type"], row["old_name"], row["old_message"])
        pending = Change(
            id=row["pending_id"],
            at=now,
            type="PENDING",
            name="Pending",
            message=None,
            before=before,
            run_count=row["run_count"] - 1,
        )
        running = Change(
            id=row["running_id"],
            at=then,
            type="RUNNING",
            name="Running",
            message=None,
            before=(row["pending_id"], now, "PENDING", "Pending", None),
            run_count=row["run_count"],
        )
        changes += [(row, pending), (row, running)]
    await publish_changes(database, changes)
    if left := [run for run in runs if run["id"] not in begun]:
        begun |= await _begun_before(database, left)
    gone: list[str] = []
    if left := [run["id"] for run in runs if run["id"] not in begun]:
        gone = [str(row["id"]) for row in await database.fetch(_GONE, [UUID(run_id) for run_id in left])]
    return {"begun": begun, "gone": gone}


async def _begun_before(database: Database, runs: list[dict[str, Any]]) -> dict[str, Any]:
    rows = await database.fetch(_BEGUN, [UUID(run["id"]) for run in runs], [UUID(run["move"]) for run in runs], ATTEMPT)
    return {
        str(row["id"]): _states(
            (row["pending_id"], row["pending_at"], orjson.loads(row["pending_details"])),
            (row["running_id"], row["running_at"], orjson.loads(row["running_details"])),
        )
        for row in rows
    }


async def _write(
    database: Database, runs: list[dict[str, Any]], labels: dict[str, Any]
) -> tuple[list[asyncpg.Record], datetime]:
    now = datetime.now(UTC)
    rows = await database.fetch(
        _BEGIN,
        [UUID(run["id"]) for run in runs],
        [new_id() for _ in runs],
        [new_id() for _ in runs],
        [run.get("pid") for run in runs],
        [uuid4() for _ in runs],
        [UUID(run["move"]) for run in runs],
        now,
        now + STEP,
        orjson.dumps(DETAILS).decode(),
        orjson.dumps(labels).decode(),
        ATTEMPT,
        orjson.dumps(PROPOSED).decode(),
    )
    return rows, now


def _states(pending: _Written, running: _Written) -> dict[str, Any]:
    return {"pending": _state("PENDING", "Pending", *pending), "running": _state("RUNNING", "Running", *running)}


def _state(kind: str, name: str, identity: UUID, at: datetime, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "type": kind,
        "name": name,
        "timestamp": at,
        "message": None,
        "data": None,
        "state_details": details,
    }
