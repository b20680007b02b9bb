"""Many runs of one deployment, with their first states, in one statement; a run with a known key is the one that is there.

Danger: what is not plain work is declined as a whole, and the client asks Prefect's own call, which also words the refusals.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from prefect.server.schemas.core import FlowRunPolicy
from prefect.server.schemas.states import StateDetails
from prefect.utilities.names import generate_slug

from redrive.blocks.prefect.private.server import new_id, validator_of
from redrive.infra.server.begin import DETAILS
from redrive.infra.server.database import Database
from redrive.infra.server.events import Change, publish_changes

#: Runs of one call.
LIMIT = 1000
#: What a run may say of itself here.
_FIELDS = {"parameters", "state", "tags", "labels", "idempotency_key", "work_queue_name"}
#: Validators that are remembered: one for each parameter schema.
_VALIDATORS = 200
_validators: dict[bytes, Any] = {}

_DEPLOYMENT = """
SELECT d.id, d.tags, d.parameters, d.parameter_openapi_schema, d.enforce_parameter_schema, d.work_queue_name, d.work_queue_id,
  d.infrastructure_document_id, q.work_pool_id
FROM deployment d LEFT JOIN work_queue q ON q.id = d.work_queue_id WHERE d.id = $1
"""
_QUEUES = "SELECT id, name FROM work_queue WHERE work_pool_id = $1 AND name = ANY($2::text[])"

_CREATE = """
WITH made AS (
  INSERT INTO flow_run (id, created, updated, name, state_id, state_type, state_name, state_timestamp, expected_start_time,
    next_scheduled_start_time, parameters, idempotency_key, tags, flow_id, deployment_id, deployment_version, work_queue_id,
    work_queue_name, job_variables, labels, auto_scheduled, context, empirical_policy, run_count, total_run_time)
  SELECT r.id, $2, $2, r.name, r.state_id, 'SCHEDULED', 'Scheduled', r.at, r.due, r.due, r.parameters, r.key,
    r.tags, d.flow_id, d.id, d.version, r.queue_id, r.queue, '{}'::jsonb,
    coalesce(d.labels, '{}') || jsonb_build_object('prefect.flow.id', d.flow_id, 'prefect.deployment.id', d.id)
      || coalesce(r.labels, '{}'),
    false, '{}'::jsonb, $5::jsonb, 0, interval '0'
  FROM deployment d, jsonb_to_recordset($3::jsonb) AS r(id uuid, name text, state_id uuid, at timestamptz, due timestamptz,
    parameters jsonb, key text, labels jsonb, tags jsonb, queue_id uuid, queue text)
  WHERE d.id = $1
  ON CONFLICT (flow_id, idempotency_key) DO NOTHING
  RETURNING *
), states AS (
  INSERT INTO flow_run_state (id, created, updated, type, timestamp, name, state_details, flow_run_id)
  SELECT m.state_id, $2, $2, 'SCHEDULED', m.state_timestamp, 'Scheduled',
    $4::jsonb || r.details || jsonb_build_object('flow_run_id', m.id), m.id
  FROM made m JOIN jsonb_to_recordset($3::jsonb) AS r(id uuid, details jsonb) ON r.id = m.id
)
SELECT id, name, state_id, state_timestamp, next_scheduled_start_time, flow_id, deployment_id, work_queue_id, tags, run_count,
  created_by, idempotency_key, labels
FROM made
"""
_THERE = """
SELECT fr.id, fr.name, fr.idempotency_key, fr.labels, s.state_details FROM flow_run fr
LEFT JOIN flow_run_state s ON s.id = fr.state_id
WHERE fr.flow_id = (SELECT flow_id FROM deployment WHERE id = $1) AND fr.idempotency_key = ANY($2::text[])
"""


async def create(database: Database, body: dict[str, Any]) -> dict[str, Any]:
    """Create `runs` of `deployment_id`: each as the body of Prefect's own call.

    Returns `runs` in order, each with `id`, `name`, `labels` and `state`; None if it has to go Prefect's way.
    """
    deployment, wanted = UUID(body["deployment_id"]), body["runs"]
    (known,) = await database.fetch(_DEPLOYMENT, deployment) or (None,)
    if known is None or not 0 < len(wanted) <= LIMIT or not _is_plain(known, wanted):
        return {"runs": None}
    queues = await _queues(database, known, wanted)
    if queues is None:
        return {"runs": None}
    rows = _rows(known, wanted, queues)
    if rows is None:
        return {"runs": None}
    return {"runs": await _write(database, deployment, rows)}


async def _write(database: Database, deployment: UUID, rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    now = datetime.now(UTC)
    made = await database.fetch(
        _CREATE,
        deployment,
        now,
        orjson.dumps(rows, default=str).decode(),
        orjson.dumps(DETAILS).decode(),
        FlowRunPolicy().model_dump_json(),
    )
    by_key: dict[str, dict[str, Any]] = {row["idempotency_key"]: _answer(row, None) for row in made}
    due = {row["key"]: row["details"] for row in rows}
    for key, run in by_key.items():
        run["state"]["state_details"] = due[key]
    if missing := [row["key"] for row in rows if row["key"] not in by_key]:
        for row in await database.fetch(_THERE, deployment, missing):
            by_key[row["idempotency_key"]] = _answer(row, row["state_details"])
    if any(row["key"] not in by_key for row in rows):
        # The deployment, or a run with that key, was deleted in this moment.
        return None
    await publish_changes(database, [(row, _change(row)) for row in made])
    return [by_key[row["key"]] for row in rows]


def _change(row: asyncpg.Record) -> Change:
    return Change(
        id=row["state_id"],
        at=row["state_timestamp"],
        type="SCHEDULED",
        name="Scheduled",
        message=None,
        before=None,
        run_count=0,
    )


def _answer(row: asyncpg.Record, details: str | None) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "labels": orjson.loads(row["labels"]) if row["labels"] else {},
        "state": {"state_details": orjson.loads(details) if details else {}},
    }


def _is_plain(known: asyncpg.Record, wanted: list[dict[str, Any]]) -> bool:
    if known["infrastructure_document_id"] is not None:
        return False
    for run in wanted:
        state = run.get("state") or {}
        if not run.keys() <= _FIELDS or not run.get("idempotency_key"):
            return False
        if state.get("type") != "SCHEDULED" or state.get("name") != "Scheduled" or state.get("message"):
            return False
        if not (state.get("state_details") or {}).keys() <= {"scheduled_time"}:
            return False
    # One key twice in one call makes one run; which of them is Prefect's to say.
    return len({run["idempotency_key"] for run in wanted}) == len(wanted)


async def _queues(
    database: Database, known: asyncpg.Record, wanted: list[dict[str, Any]]
) -> dict[str | None, tuple[str | None, UUID | None]] | None:
    """Name and id of each queue that is asked for; None if there is one that Prefect would have to make."""
    found: dict[str | None, tuple[str | None, UUID | None]] = {None: (known["work_queue_name"], known["work_queue_id"])}
    if names := {run["work_queue_name"] for run in wanted if run.get("work_queue_name")}:
        rows = await database.fetch(_QUEUES, known["work_pool_id"], list(names))
        found |= {row["name"]: (row["name"], row["id"]) for row in rows}
        if not names <= found.keys():
            return None
    return found


def _rows(
    known: asyncpg.Record, wanted: list[dict[str, Any]], queues: dict[str | None, tuple[str | None, UUID | None]]
) -> list[dict[str, Any]] | None:
    given = orjson.loads(known["parameters"]) if known["parameters"] else {}
    validator = None
    if known["enforce_parameter_schema"]:
        validator = _validator(known["parameter_openapi_schema"])
        if validator is None:
            return None
    rows = []
    for run in wanted:
        parameters = {**given, **(run.get("parameters") or {})}
        # Prefect fills in templates and variables; and what it refuses it words better.
        if _has_template(parameters) or (validator is not None and not validator.is_valid(parameters)):
            return None
        at = datetime.now(UTC)
        due = (run["state"].get("state_details") or {}).get("scheduled_time")
        due = StateDetails.model_validate({"scheduled_time": due or at}).model_dump(mode="json")["scheduled_time"]
        name, queue = queues[run.get("work_queue_name")]
        rows.append(
            {
                "id": uuid4(),
                "name": generate_slug(2),
                "state_id": new_id(),
                "at": at,
                "due": due,
                "details": {"scheduled_time": due},
                "parameters": parameters,
                "key": run["idempotency_key"],
                "labels": run.get("labels") or {},
                "tags": sorted({*orjson.loads(known["tags"] or "[]"), *(run.get("tags") or [])}),
                "queue_id": queue,
                "queue": name,
            }
        )
    return rows


def _has_template(value: Any) -> bool:
    if isinstance(value, dict):
        return "__prefect_kind" in value or any(_has_template(one) for one in value.values())
    return isinstance(value, list) and any(_has_template(one) for one in value)


def _validator(written: str | None) -> Any | None:
    """Of a parameter schema, checked and made once for each content; None if Prefect would refuse it."""
    if not written:
        return None
    key = hashlib.sha256(written.encode()).digest()
    if key not in _validators:
        if len(_validators) >= _VALIDATORS:
            _validators.clear()
        schema = orjson.loads(written)
        _validators[key] = validator_of(schema) if isinstance(schema, dict) else None
    return _validators[key]
