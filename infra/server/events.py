"""Events about runs as Prefect's orchestration emits them: the same fields, published through Prefect's own broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from prefect.server.events.messaging import publish
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.models.events import TRUNCATE_STATE_MESSAGES_AT
from prefect.utilities.text import truncated_to

from redrive.blocks.core.remembered import Remembered
from redrive.infra.server.database import Database

#: Seconds that the names of a run's flow, deployment, queue and pool are remembered; Prefect remembers them for minutes.
REMEMBERED = 30.0
#: A state follows another one in its event only if not more time lies between them, as Prefect has it.
TIGHT = timedelta(minutes=5)

_NAMES = """
SELECT f.name AS flow, f.tags AS flow_tags, d.name AS deployment, d.tags AS deployment_tags, q.name AS queue, p.id AS pool_id,
  p.name AS pool, p.type AS pool_type
FROM flow f LEFT JOIN deployment d ON d.id = $2 LEFT JOIN work_queue q ON q.id = $3 LEFT JOIN work_pool p ON p.id = q.work_pool_id
WHERE f.id = $1
"""

#: What the events of a flow, a deployment and a queue have in common: what they are related to, and its tags.
_known = Remembered[tuple[Any, Any, Any], tuple[list[dict[str, str]], set[str]]](REMEMBERED)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A state that a run came into, and the one before."""

    id: Any
    at: datetime
    type: str
    name: str
    message: str | None
    before: tuple[Any, datetime, str, str, str | None] | None
    run_count: int


async def publish_changes(database: Database, changes: Iterable[tuple[Mapping[str, Any], Change]]) -> None:
    """Tell of changes; each with its run's row (`id`, `name`, `flow_id`, `deployment_id`, `work_queue_id`, `tags`, `created_by`)."""
    await publish([_event(run, await _related(database, run), change) for run, change in changes])


def _event(run: Mapping[str, Any], related: list[dict[str, str]], change: Change) -> ReceivedEvent:
    message = truncated_to(TRUNCATE_STATE_MESSAGES_AT, change.message)
    before = change.before
    follows = before is not None and -TIGHT < change.at - before[1] < TIGHT
    return ReceivedEvent(
        occurred=change.at,
        event=f"prefect.flow-run.{change.name}",
        resource={
            "prefect.resource.id": f"prefect.flow-run.{run['id']}",
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(change.run_count),
            "prefect.state-message": message,
            "prefect.state-name": change.name,
            "prefect.state-timestamp": change.at.isoformat(),
            "prefect.state-type": change.type,
        },
        related=related,
        payload={
            "intended": {"from": before[2] if before else None, "to": change.type},
            "initial_state": _state(*before[2:]) if before else None,
            "validated_state": _state(change.type, change.name, message),
        },
        id=change.id,
        follows=before[0] if before and follows else None,
    )


def _state(kind: str, name: str, message: str | None) -> dict[str, str]:
    text = truncated_to(TRUNCATE_STATE_MESSAGES_AT, message)
    return {"type": kind, "name": name, **({"message": text} if text else {})}


async def _related(database: Database, run: Mapping[str, Any]) -> list[dict[str, str]]:
    key = (run["flow_id"], run["deployment_id"], run["work_queue_id"])
    known = _known.fresh(key, None)
    if known is None:
        (row,) = await database.fetch(_NAMES, *key)
        named = [_resource("flow", run["flow_id"], row["flow"])]
        if row["deployment"]:
            named.append(_resource("deployment", run["deployment_id"], row["deployment"]))
        if row["queue"]:
            named.append(_resource("work-queue", run["work_queue_id"], row["queue"]))
        if row["pool"]:
            pool = _resource("work-pool", row["pool_id"], row["pool"])
            named.append({**pool, "prefect.work-pool.type": row["pool_type"]})
        known = _known.keep(key, (named, {*_list(row["flow_tags"]), *_list(row["deployment_tags"])}))
    named, tags = known
    tagged = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in sorted({*tags, *_list(run["tags"])})
    ]
    return [*named, *tagged, *_creator(run["created_by"])]


def _resource(kind: str, identity: Any, name: str) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.{kind}.{identity}",
        "prefect.resource.role": kind,
        "prefect.resource.name": name,
    }


def _creator(written: str | None) -> list[dict[str, str]]:
    by = orjson.loads(written) if written else None
    if not by or by.get("type") not in {"DEPLOYMENT", "AUTOMATION"}:
        return []
    made = {"prefect.resource.id": f"prefect.{by['type'].lower()}.{by['id']}", "prefect.resource.role": "creator"}
    return [{**made, **({"prefect.resource.name": by["display_value"]} if by.get("display_value") else {})}]


def _list(written: str | None) -> list[str]:
    found: list[str] = orjson.loads(written) if written else []
    return found
