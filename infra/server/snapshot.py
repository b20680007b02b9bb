"""The queues of a pool at one moment: what waits, runs, waits for a next try and is not due in each, in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redrive.infra.server.database import Database
from redrive.infra.server.find import find

_QUEUES: Final = """
WITH counted AS (
  SELECT work_queue_id AS id,
    count(*) FILTER (WHERE state_type <> 'SCHEDULED') AS running,
    count(*) FILTER (WHERE state_name = 'AwaitingRetry') AS retrying,
    count(*) FILTER (WHERE due > now() AND state_name <> 'AwaitingRetry') AS scheduled,
    count(*) FILTER (WHERE due <= now()) AS waiting,
    min(due) FILTER (WHERE due <= now()) AS oldest
  FROM (
    SELECT work_queue_id, state_type, state_name, CASE WHEN state_type = 'SCHEDULED' THEN next_scheduled_start_time END AS due
    FROM flow_run WHERE state_type IN ('SCHEDULED', 'PENDING', 'RUNNING')
  ) unfinished GROUP BY work_queue_id
)
SELECT q.name, q.priority, q.is_paused, q.concurrency_limit, coalesce(c.running, 0) AS running, coalesce(c.retrying, 0) AS retrying,
  coalesce(c.scheduled, 0) AS scheduled, coalesce(c.waiting, 0) AS waiting, c.oldest
FROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id LEFT JOIN counted c ON c.id = q.id
WHERE p.name = $1 ORDER BY q.priority
"""


async def snapshot(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """The `queues` of `pool`, and the `runs` that `find` finds; None: ask Prefect."""
    found = await find(database, body["find"])
    async with database.connection() as connection, connection.transaction(readonly=True):
        # What is not finished is little beside what is; without statistics the planner cannot know.
        # Without JIT, as in `find.py`.
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")
        rows = await connection.fetch(_QUEUES, str(body["pool"]))
    return {"queues": [dict(row) for row in rows], "runs": found["runs"]}
