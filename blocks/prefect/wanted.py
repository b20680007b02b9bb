"""Which runs are asked for, as a value and as Prefect's filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs; every condition that is given must hold. `queues`, `pools` and `jobs` are names, times are inclusive."""

    types: Sequence[str] = ()
    names: Sequence[str] = ()
    #: Names of states that do not fit.
    not_names: Sequence[str] = ()
    run_names: Sequence[str] = ()
    jobs: Sequence[str] = ()
    queues: Sequence[str] = ()
    pools: Sequence[str] = ()
    ids: Sequence[UUID] = ()
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    due_before: datetime | None = None
    due_after: datetime | None = None
    expected_after: datetime | None = None
    #: A run without a deployment is no job: nobody could start it again.
    deployed: bool = True

    def flow_runs(self) -> dict[str, Any]:
        """As Prefect's filter of flow runs; the pools are a filter of their own."""
        state: dict[str, Any] = {}
        if self.types:
            state["type"] = {"any_": list(self.types)}
        if self.names:
            state["name"] = {"any_": list(self.names)}
        if self.not_names:
            state.setdefault("name", {})["not_any_"] = list(self.not_names)
        found: dict[str, Any] = {"state": state} if state else {}
        if self.run_names:
            found["name"] = {"any_": list(self.run_names)}
        if self.deployed:
            found["deployment_id"] = {"is_null_": False}
        if self.ids:
            found["id"] = {"any_": [str(one) for one in self.ids]}
        if ended := _span(self.ended_after, self.ended_before):
            found["end_time"] = ended
        if due := _span(self.due_after, self.due_before):
            found["next_scheduled_start_time"] = due
        if expected := _span(self.expected_after, None):
            found["expected_start_time"] = expected
        return found

    def body(self) -> dict[str, Any]:
        named = {"work_pools": self.pools, "work_pool_queues": self.queues, "flows": self.jobs}
        others = {kind: {"name": {"any_": list(names)}} for kind, names in named.items() if names}
        return {"flow_runs": self.flow_runs(), **others}


def _span(after: datetime | None, before: datetime | None) -> dict[str, str]:
    found = {"after_": after, "before_": before}
    return {name: at.isoformat() for name, at in found.items() if at is not None}
