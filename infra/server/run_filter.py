"""A filter of Prefect's as conditions on `flow_run r`, with the values apart: as much of it as is asked with.

Danger: what is not known here must raise `Unknown`, never be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

_TIMES: Final = ("end_time", "expected_start_time", "next_scheduled_start_time")
_NAMED: Final = {"flows", "work_pools", "work_pool_queues"}
_QUEUES: Final = """
SELECT q.id FROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id
WHERE ($1::text[] IS NULL OR p.name = ANY($1)) AND ($2::text[] IS NULL OR q.name = ANY($2))
"""


class Unknown(Exception):  # noqa: N818  (control flow, not an error)
    """The filter holds something that is not known here."""


@dataclass
class Where:
    """Conditions on `r` with their values. `narrow`: those with an index of their own, which few runs may meet."""

    values: list[Any] = field(default_factory=list)
    all: list[str] = field(default_factory=list)
    narrow: list[tuple[str, Any]] = field(default_factory=list)

    def add(self, condition: str, value: Any, *, narrow: bool = False) -> None:
        """A condition with `$` where its value stands."""
        self.values.append(value)
        self.all.append(condition.replace("$", f"${len(self.values)}", 1))
        if narrow:
            self.narrow.append((self.all[-1], value))

    def text(self) -> str:
        return " AND ".join(self.all) or "true"


async def where_of(
    connection: asyncpg.Connection, body: Mapping[str, Any], others: Collection[str] = ()
) -> Where | None:
    """The conditions of a filter; None if nothing can fit.

    Raises:
        Unknown: it asks for more than is known here.
    """
    if body.keys() - set(others) - _NAMED - {"flow_runs"}:
        raise Unknown
    where = Where()
    names = {kind: _names(body[kind]) for kind in _NAMED & body.keys()}
    if "flows" in names:
        flows = await connection.fetch("SELECT id FROM flow WHERE name = ANY($1::text[])", names["flows"])
        where.add("r.flow_id = ANY($)", [row["id"] for row in flows], narrow=True)
    if "work_pools" in names or "work_pool_queues" in names:
        queues = await connection.fetch(_QUEUES, names.get("work_pools"), names.get("work_pool_queues"))
        # Nearly all runs are in the queues of a pool; those in a queue that was named may be few.
        where.add("r.work_queue_id = ANY($)", [row["id"] for row in queues], narrow="work_pool_queues" in names)
    if any(not value for value in where.values):
        return None
    for name, asked in (body.get("flow_runs") or {}).items():
        _FILTERS.get(name, _unknown)(where, name, asked)
    return where


def _names(asked: Mapping[str, Any]) -> list[str]:
    if asked.keys() != {"name"} or asked["name"].keys() != {"any_"}:
        raise Unknown
    return list(asked["name"]["any_"])


def _state(where: Where, _: str, asked: Mapping[str, Any]) -> None:
    if asked.keys() - {"type", "name"}:
        raise Unknown
    for value in _only(asked.get("type"), "any_"):
        where.add("r.state_type = ANY($::text[]::state_type[])", value, narrow=True)
    for value in _only(asked.get("name"), "any_", others=("not_any_",)):
        where.add("r.state_name = ANY($::text[])", value, narrow=True)
    for value in _only(asked.get("name"), "not_any_", others=("any_",)):
        where.add("r.state_name <> ALL($::text[])", value)


def _id(where: Where, _: str, asked: Mapping[str, Any]) -> None:
    for value in _only(asked, "any_", others=("not_any_",)):
        where.add("r.id = ANY($)", list(map(UUID, value)), narrow=True)
    for value in _only(asked, "not_any_", others=("any_",)):
        where.add("r.id <> ALL($)", list(map(UUID, value)))


def _name(where: Where, _: str, asked: Mapping[str, Any]) -> None:
    for value in _only(asked, "any_"):
        where.add("r.name = ANY($::text[])", value, narrow=True)


def _deployed(where: Where, _: str, asked: Mapping[str, Any]) -> None:
    if asked != {"is_null_": False}:
        raise Unknown
    where.all.append("r.deployment_id IS NOT NULL")


def _time(where: Where, name: str, asked: Mapping[str, Any]) -> None:
    for value in _only(asked, "after_", others=("before_",)):
        where.add(f"r.{name} >= $", datetime.fromisoformat(value))
    for value in _only(asked, "before_", others=("after_",)):
        where.add(f"r.{name} <= $", datetime.fromisoformat(value))


def _unknown(where: Where, name: str, asked: Mapping[str, Any]) -> None:
    del where, name, asked
    raise Unknown


_FILTERS: Final[dict[str, Callable[[Where, str, Mapping[str, Any]], None]]] = {
    "state": _state,
    "id": _id,
    "name": _name,
    "deployment_id": _deployed,
    **dict.fromkeys(_TIMES, _time),
}


def _only(asked: Mapping[str, Any] | None, name: str, *, others: tuple[str, ...] = ()) -> list[Any]:
    """The value of that name, if there is one.

    Raises:
        Unknown: there is something else beside those.
    """
    if asked is None:
        return []
    if asked.keys() - {name, *others}:
        raise Unknown
    return [asked[name]] if asked.get(name) is not None else []
