"""Events and log lines into Prefect's own tables, by one statement each: the same rows, without building a statement for each batch.

Danger: whatever raises here is Prefect's to handle, as if its own statement had failed: it keeps the events and tries again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.schemas.actions import LogCreate
from prefect.settings import get_current_settings

from redrive.infra.server.database import Database

#: Events and lines of one statement at most: what the database parses of one call stays a few megabytes.
BATCH = 500

_EVENTS = """
WITH written AS (
  INSERT INTO events (id, created, updated, occurred, event, resource_id, resource, related_resource_ids, related, payload, received,
    recorded, follows)
  SELECT e.id, $1, $1, e.occurred, e.event, e.resource_id, e.resource::jsonb, e.ids::jsonb, e.related::jsonb, e.payload::jsonb,
    e.received, $1, e.follows
  FROM unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::timestamptz[], $11::uuid[])
    AS e(id, occurred, event, resource_id, resource, ids, related, payload, received, follows)
  ON CONFLICT DO NOTHING RETURNING id, occurred
)
INSERT INTO event_resources (id, created, updated, occurred, resource_id, resource_role, resource, event_id)
SELECT gen_random_uuid(), $1, $1, w.occurred, r.resource_id, r.role, r.resource::json, w.id
FROM unnest($12::uuid[], $13::text[], $14::text[], $15::text[]) AS r(event_id, resource_id, role, resource)
JOIN written w ON w.id = r.event_id
"""
_LOGS = """
INSERT INTO log (id, created, updated, name, level, message, timestamp, flow_run_id, task_run_id)
SELECT l.id, $1, $1, l.name, l.level, l.message, l.timestamp, l.flow_run_id, l.task_run_id
FROM unnest($2::uuid[], $3::text[], $4::int[], $5::text[], $6::timestamptz[], $7::uuid[], $8::uuid[])
  AS l(id, name, level, message, timestamp, flow_run_id, task_run_id)
"""
#: What names a resource, and its part in the event: columns of their own.
_OWN = ("prefect.resource.id", "prefect.resource.role")


class Storing:
    """Stands in for the two functions of Prefect's that write them; `theirs` are those, for a database that is not PostgreSQL."""

    def __init__(self, their_events: Callable[..., Any], their_logs: Callable[..., Any]) -> None:
        self._their_events = their_events
        self._their_logs = their_logs
        self._database = Database()

    async def write_events(self, session: Any, events: list[ReceivedEvent]) -> None:
        """Write events that are not there yet, with the resources they name."""
        if await self._database.why_not():
            await self._their_events(session=session, events=events)
            return
        once = list({event.id: event for event in events}.values())
        for start in range(0, len(once), BATCH):
            await self._write_events(once[start : start + BATCH])

    async def create_logs(self, session: Any, logs: Sequence[LogCreate]) -> None:
        """Write log lines, and publish them where somebody asked for that."""
        if await self._database.why_not() or get_current_settings().server.logs.stream_publishing_enabled:
            await self._their_logs(session=session, logs=logs)
            return
        for start in range(0, len(logs), BATCH):
            part = logs[start : start + BATCH]
            await self._database.fetch(
                _LOGS,
                datetime.now(UTC),
                [uuid4() for _ in part],
                [_plain(line.name) for line in part],
                [line.level for line in part],
                [_plain(line.message) for line in part],
                [line.timestamp for line in part],
                [line.flow_run_id for line in part],
                [line.task_run_id for line in part],
            )

    async def _write_events(self, events: list[ReceivedEvent]) -> None:
        resources = [(event.id, one.root) for event in events for one in (event.resource, *event.related)]
        await self._database.fetch(
            _EVENTS,
            datetime.now(UTC),
            [event.id for event in events],
            [event.occurred for event in events],
            [event.event for event in events],
            [event.resource.id for event in events],
            [_json(event.resource.root) for event in events],
            [_json([one.id for one in event.related]) for event in events],
            [_json([one.root for one in event.related]) for event in events],
            [_json(event.payload) for event in events],
            [event.received for event in events],
            [event.follows for event in events],
            [event for event, _ in resources],
            [labels["prefect.resource.id"] for _, labels in resources],
            [labels.get("prefect.resource.role") or "" for _, labels in resources],
            [_json({name: value for name, value in labels.items() if name not in _OWN}) for _, labels in resources],
        )


def _json(value: Any) -> str:
    """As text. What PostgreSQL has no number for, `NaN` and the infinities, becomes null, as Prefect has it."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A number longer than 64 bits.
        return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None))


def _plain(text: str) -> str:
    """Without the null bytes that PostgreSQL refuses, as Prefect has it."""
    return text.replace("\x00", "")
