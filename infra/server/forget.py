"""Taking a run from whoever has it: its process and the worker's name off it, with labels to add, if it still is in one state.

Danger: a compare-and-set on the id of the state. Prefect's own calls have no condition: between asking for the state and writing,
another worker may take the run and sign it, and its signature would be wiped out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from redrive.infra.server.database import Database

_FORGET: Final = """
UPDATE flow_run SET labels = coalesce(labels, '{}'::jsonb) || $3::jsonb, infrastructure_pid = NULL, updated = $4
WHERE id = $1 AND state_id = $2 RETURNING id
"""


async def forget(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """Whether run `id` was in state `state_id`, so that no process has it now and it has `labels`."""
    labels = orjson.dumps(dict(body["labels"])).decode()
    rows = await database.fetch(_FORGET, UUID(body["id"]), UUID(body["state_id"]), labels, datetime.now(UTC))
    return {"forgotten": bool(rows)}
