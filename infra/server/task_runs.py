"""Task runs and their states out of the events that a job's process kept: what Prefect's recorder makes of the same events."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from prefect.server.events.schemas.events import Event
from prefect.server.schemas.core import TaskRun, TaskRunPolicy
from prefect.server.schemas.states import StateDetails

#: The fields of `task_run` in an event that are written here; an event with others goes to Prefect's recorder.
_FIELDS = frozenset(
    {
        "name", "run_count", "expected_start_time", "next_scheduled_start_time", "start_time", "end_time", "total_run_time",
        "task_key", "dynamic_key", "cache_key", "cache_expiration", "task_version", "empirical_policy", "task_inputs", "tags",
        "flow_run_run_count", "labels", "created_by",
    }
)  # fmt: skip
_DETAILS: dict[str, Any] = StateDetails().model_dump(mode="json")

_RUNS = """
INSERT INTO task_run (id, created, updated, name, state_type, state_id, state_name, state_timestamp, run_count,
  expected_start_time, next_scheduled_start_time, start_time, end_time, total_run_time, task_key, dynamic_key, cache_key,
  cache_expiration, task_version, empirical_policy, task_inputs, tags, flow_run_id, flow_run_run_count, labels)
SELECT t.id, $3, $3, t.name, t.state_type::state_type, t.state_id, t.state_name, t.state_timestamp, t.run_count,
  t.expected_start_time, t.next_scheduled_start_time, t.start_time, t.end_time, make_interval(secs => t.total_run_time),
  t.task_key, t.dynamic_key, t.cache_key, t.cache_expiration, t.task_version, t.empirical_policy, t.task_inputs, t.tags, $1,
  t.flow_run_run_count, t.labels
FROM jsonb_to_recordset($2::jsonb) AS t(id uuid, name text, state_type text, state_id uuid, state_name text,
  state_timestamp timestamptz, run_count int, expected_start_time timestamptz, next_scheduled_start_time timestamptz,
  start_time timestamptz, end_time timestamptz, total_run_time float8, task_key text, dynamic_key text, cache_key text,
  cache_expiration timestamptz, task_version text, empirical_policy jsonb, task_inputs jsonb, tags jsonb,
  flow_run_run_count int, labels jsonb)
ORDER BY t.task_key, t.dynamic_key
ON CONFLICT (flow_run_id, task_key, dynamic_key) DO UPDATE SET
  name = excluded.name, state_type = excluded.state_type, state_id = excluded.state_id, state_name = excluded.state_name,
  state_timestamp = excluded.state_timestamp, run_count = excluded.run_count,
  expected_start_time = coalesce(excluded.expected_start_time, task_run.expected_start_time),
  next_scheduled_start_time = coalesce(excluded.next_scheduled_start_time, task_run.next_scheduled_start_time),
  start_time = coalesce(excluded.start_time, task_run.start_time), end_time = coalesce(excluded.end_time, task_run.end_time),
  total_run_time = excluded.total_run_time, cache_key = coalesce(excluded.cache_key, task_run.cache_key),
  cache_expiration = coalesce(excluded.cache_expiration, task_run.cache_expiration),
  task_version = coalesce(excluded.task_version, task_run.task_version), empirical_policy = excluded.empirical_policy,
  task_inputs = excluded.task_inputs, tags = excluded.tags, flow_run_run_count = excluded.flow_run_run_count,
  labels = coalesce(excluded.labels, task_run.labels), updated = excluded.updated
  WHERE task_run.state_timestamp < excluded.state_timestamp
"""
_STATES = """
INSERT INTO task_run_state (id, created, updated, type, timestamp, name, message, state_details, data, task_run_id)
SELECT s.id, $3, $3, s.type::state_type, s.timestamp, s.name, s.message,
  s.state_details || jsonb_build_object('flow_run_id', $1::uuid, 'task_run_id', t.id),
  CASE WHEN s.data IS NULL THEN 'null'::jsonb ELSE s.data END, t.id
FROM jsonb_to_recordset($2::jsonb) AS s(id uuid, type text, timestamp timestamptz, name text, message text,
  state_details jsonb, data jsonb, task_key text, dynamic_key text)
JOIN task_run t ON t.flow_run_id = $1 AND t.task_key = s.task_key AND t.dynamic_key = s.dynamic_key
ON CONFLICT (id) DO NOTHING
"""


def split(events: list[Event], run_id: str) -> tuple[list[Event], list[Event]]:
    """Those that can be written here, and the others: all of a task run go one way, as they build on one another."""
    odd = {event.resource.id for event in events if not _is_plain(event, run_id)}
    return (
        [event for event in events if event.resource.id not in odd],
        [event for event in events if event.resource.id in odd],
    )


async def write(connection: asyncpg.Connection, run_id: str, events: list[Event], now: datetime) -> None:
    """Write them, within the transaction of whoever calls."""
    states: list[dict[str, Any]] = []
    last: dict[tuple[str, str], tuple[Event, dict[str, Any], dict[str, Any]]] = {}
    for event in sorted(events, key=lambda event: event.occurred):
        task, state = event.payload["task_run"], event.payload["validated_state"]
        found = {
            "id": event.id,
            "type": state["type"],
            "name": state["name"],
            "timestamp": event.occurred,
            "message": state.get("message"),
            "state_details": {**_DETAILS, **(state.get("state_details") or {})},
            "data": state.get("data"),
            "task_key": task["task_key"],
            "dynamic_key": task["dynamic_key"],
        }
        states.append(found)
        last[task["task_key"], task["dynamic_key"]] = event, task, found
    run = UUID(run_id)
    rows = [_row(*found) for found in last.values()]
    await connection.execute(_RUNS, run, orjson.dumps(rows, default=str).decode(), now)
    await connection.execute(_STATES, run, orjson.dumps(states, default=str).decode(), now)


def _row(event: Event, task: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    run = TaskRun.model_validate({**task, "id": event.resource.id.removeprefix("prefect.task-run.")})
    return {
        **run.model_dump(mode="json", include=set(_FIELDS - {"total_run_time", "empirical_policy", "labels"})),
        "id": run.id,
        "total_run_time": run.total_run_time.total_seconds(),
        "empirical_policy": TaskRunPolicy.model_validate(task.get("empirical_policy") or {}).model_dump(mode="json"),
        "labels": task.get("labels"),
        "state_id": state["id"],
        "state_type": state["type"],
        "state_name": state["name"],
        "state_timestamp": state["timestamp"],
    }


def _is_plain(event: Event, run_id: str) -> bool:
    task, state = event.payload.get("task_run"), event.payload.get("validated_state")
    runs = [one.id for one in event.related if one.role == "flow-run"]
    return (
        event.event.startswith("prefect.task-run.")
        and event.resource.get("prefect.orchestration") == "client"
        and runs == [f"prefect.flow-run.{run_id}"]
        and isinstance(task, dict)
        and isinstance(state, dict)
        and task.keys() <= _FIELDS
        and {"task_key", "dynamic_key"} <= task.keys()
    )
