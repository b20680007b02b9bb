"""What is shown of one run: its states and artifacts in one call, and its log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from redrive.infra.server.database import Database

#: Rows of one call, as Prefect's own.
LIMIT: Final = 200

_STATES: Final = """
SELECT s.id, s.type::text, s.name, s.timestamp, s.message, s.state_details, coalesce(nullif(s.data::text, 'null'), a.data::text) AS data
FROM flow_run_state s LEFT JOIN artifact a ON a.id = s.result_artifact_id
WHERE s.flow_run_id = $1 ORDER BY s.timestamp
"""
_TRIES: Final = """
SELECT t.name, s.timestamp, s.state_details FROM task_run t JOIN task_run_state s ON s.task_run_id = t.id
WHERE t.flow_run_id = $1 AND s.name = 'AwaitingRetry' ORDER BY s.timestamp DESC LIMIT $2
"""
_ARTIFACTS: Final = """
SELECT id, created, type, key, description, data::text AS data FROM artifact
WHERE flow_run_id = $1 AND type <> 'result' ORDER BY created DESC LIMIT $2
"""
_LOG: Final = """
SELECT id, name, level, message, flow_run_id, task_run_id, timestamp FROM log
WHERE flow_run_id = ANY($1) AND level >= $2 AND timestamp >= $3 ORDER BY timestamp OFFSET $4 LIMIT $5
"""


async def trail(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """The `states` of run `id`, the oldest first, so the `tries` of its steps that it waited after, and its `most` newest `artifacts` but
    results, as Prefect's own calls tell them.
    """
    run_id = UUID(body["id"])
    states = await database.fetch(_STATES, run_id)
    tries = await database.fetch(_TRIES, run_id, LIMIT)
    artifacts = await database.fetch(_ARTIFACTS, run_id, min(int(body["most"]), LIMIT))
    return {
        "states": [_with_json(row, "state_details", "data") for row in states],
        "tries": [_with_json(row, "state_details") for row in reversed(tries)],
        "artifacts": [_with_json(row, "data") for row in artifacts],
    }


async def log(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """The lines of run `id`, or of all of `ids`, from `level` and `after` on, `skipped` of them left out, by time."""
    rows = await database.fetch(
        _LOG,
        [UUID(one) for one in body.get("ids") or [body["id"]]],
        int(body["level"]),
        datetime.fromisoformat(body["after"]),
        int(body["skipped"]),
        LIMIT,
    )
    return {"lines": [dict(row) for row in rows]}


def _with_json(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A row whose JSON is passed on without being read."""
    found = dict(row)
    for name in names:
        found[name] = None if found[name] is None else orjson.Fragment(found[name])
    return found
