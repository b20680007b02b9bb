"""Runs that fit a filter, in order, and how many fit: what Prefect's own filter calls answer, in one statement that knows its index.

Prefect's statement leaves the plan to statistics, which after a burst say nothing, and then it joins and sorts every run there is.
Here a page is read in the order of the index on its time; a condition that few runs meet is read first instead.

Danger: a filter with anything that is not known here is declined as a whole, and the client asks Prefect's own call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
import orjson

from redrive.infra.server.database import Database
from redrive.infra.server.run_filter import Unknown, Where, where_of

#: Runs of one call, as Prefect's own.
LIMIT: Final = 200
#: A condition that at most so many runs meet is read first: sorting those takes a few milliseconds.
FEW: Final = 5_000

#: Prefect's names of orders: column and direction.
_ORDERS: Final = {
    "END_TIME_DESC": "end_time DESC",
    "EXPECTED_START_TIME_ASC": "expected_start_time ASC",
    "EXPECTED_START_TIME_DESC": "expected_start_time DESC",
    "NEXT_SCHEDULED_START_TIME_ASC": "next_scheduled_start_time ASC",
}

#: What a page shows; the rest of a run is Prefect's to tell.
_SHOWN: Final = """
SELECT r.id, r.name, r.created, r.flow_id, r.deployment_id, coalesce(q.name, r.work_queue_name) AS work_queue_name,
  p.name AS work_pool_name, r.expected_start_time, r.next_scheduled_start_time, r.start_time, r.end_time, r.run_count,
  extract(epoch FROM r.total_run_time)::float8 AS total_run_time,
  extract(epoch FROM r.total_run_time + CASE WHEN r.state_type = 'RUNNING' THEN clock_timestamp() - r.state_timestamp
    ELSE interval '0' END)::float8 AS estimated_run_time,
  r.auto_scheduled, r.idempotency_key, r.infrastructure_pid, r.parameters, r.tags, r.labels, r.empirical_policy,
  s.id AS state_id, s.type AS state_type, s.name AS state_name, s.message, s.timestamp, s.state_details
FROM page JOIN flow_run r ON r.id = page.id
LEFT JOIN flow_run_state s ON s.id = r.state_id
LEFT JOIN work_queue q ON q.id = r.work_queue_id
LEFT JOIN work_pool p ON p.id = q.work_pool_id
"""
_STATE: Final = {
    "state_id": "id",
    "state_type": "type",
    "state_name": "name",
    "message": "message",
    "timestamp": "timestamp",
    "state_details": "state_details",
}
_JSON: Final = ("parameters", "tags", "labels", "empirical_policy")

#: Without statistics the planner sorts and scans where it need not.
#: What is switched off and needed all the same counts as so dear, before PostgreSQL 18, that it is compiled (JIT): seconds each time.
_IN_ORDER: Final = "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL jit = off"


async def find(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """The runs of a filter as `POST /flow_runs/filter` takes it: `runs`, with the fields that `Run.of` reads; None: ask Prefect."""
    limit, order = int(body.get("limit", LIMIT)), body.get("sort")
    if not 0 < limit <= LIMIT or body.get("offset") or (order is not None and order not in _ORDERS):
        return {"runs": None}
    async with database.connection() as connection, connection.transaction(readonly=True):
        try:
            where = await where_of(connection, body, {"sort", "limit", "offset"})
        except Unknown:
            return {"runs": None}
        if where is None:
            return {"runs": []}
        rows = await _read(connection, where, _ORDERS[order] if order else "id", limit)
    return {"runs": [_run(row) for row in rows]}


async def count(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """How many runs fit a filter as `POST /flow_runs/count` takes it: `count`; None: ask Prefect."""
    async with database.connection() as connection, connection.transaction(readonly=True):
        try:
            where = await where_of(connection, body)
        except Unknown:
            return {"count": None}
        if where is None:
            return {"count": 0}
        query = f"SELECT count(*) FROM flow_run r WHERE {where.text()}"  # noqa: S608  (conditions of ours, values apart)
        return {"count": await connection.fetchval(query, *where.values)}


async def _read(connection: asyncpg.Connection, where: Where, order: str, limit: int) -> list[asyncpg.Record]:
    """The page: by the index of its order, or from the few runs that meet one condition."""
    await connection.execute(_IN_ORDER)
    few = await _few(connection, where)
    # Behind an OFFSET the condition is kept apart from the others and from the order, so its index is what finds the rows.
    source = f"(SELECT * FROM flow_run r WHERE {few} OFFSET 0) r" if few else "flow_run r"  # noqa: S608  (conditions of ours, values apart)
    column, _, direction = order.partition(" ")
    page = f"SELECT r.id, r.{column} AS at FROM {source} WHERE {where.text()} ORDER BY r.{order} LIMIT {limit}"  # noqa: S608  (as above)
    query = f"WITH page AS MATERIALIZED ({page}) {_SHOWN} ORDER BY page.at {direction}"
    found: list[asyncpg.Record] = await connection.fetch(query, *where.values)
    return found


async def _few(connection: asyncpg.Connection, where: Where) -> str | None:
    """The condition that the fewest runs meet, if those are few; None: the order's own index finds the page sooner."""
    counts = []
    for condition, value in where.narrow:
        alone = re.sub(r"\$\d+", "$1", condition)
        query = f"SELECT count(*) FROM (SELECT 1 FROM flow_run r WHERE {alone} LIMIT {FEW + 1}) few"  # noqa: S608  (as above)
        counts.append((int(await connection.fetchval(query, value)), condition))
    least = min(counts, default=None)
    return least[1] if least is not None and least[0] <= FEW else None


def _run(row: asyncpg.Record) -> dict[str, Any]:
    run = dict(row)
    state = {name: run.pop(column) for column, name in _STATE.items()}
    for name in _JSON:
        run[name] = _raw(run[name])
    return {**run, "state": {**state, "state_details": _raw(state["state_details"])} if state["id"] else None}


def _raw(text: str | None) -> orjson.Fragment | None:
    """JSON as it is stored, passed on without being read."""
    return None if text is None else orjson.Fragment(text)
