"""Flow runs as the keeper reads them: one page of the API at a time, only what it decides by.

Danger: `deployment_id` is asked for everywhere, because a run without a deployment is no job: nobody could start it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from redrive.blocks.prefect_api import api
from redrive.deployments.endings import Spent
from redrive.deployments.run_labels import CRASHES, TRIES, WORKER

#: Prefect's own limit of runs a call.
PAGE = 200
#: The pool whose runs are housekeeping and never enter the ledger.
OPS = "ops"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One flow run. `job` is the name of its flow; `worker` who took it; times are UTC."""

    id: UUID
    name: str
    job: str
    flow_id: UUID
    deployment_id: UUID | None
    queue: str
    pool: str
    state_id: UUID
    state_type: str
    state_name: str
    message: str
    since: datetime
    end_time: datetime | None
    scheduled: datetime | None
    parameters: dict[str, Any]
    tags: tuple[str, ...]
    labels: Mapping[str, Any]
    pid: str | None
    retry_type: str | None
    spent: Spent

    @property
    def worker(self) -> str | None:
        return str(self.labels.get(WORKER) or "") or None

    @property
    def is_unsigned(self) -> bool:
        """Whether its last worker's name was taken off it because it was to wait, and no other has signed since."""
        return self.labels.get(WORKER) == ""

    @property
    def tries(self) -> int:
        return int(self.labels.get(TRIES) or 0)

    @property
    def crashes(self) -> int:
        return int(self.labels.get(CRASHES) or 0)


_flow_names: dict[str, str] = {}


def pages(
    *,
    types: Sequence[str],
    names: Sequence[str] = (),
    ended_after: datetime | None = None,
    due_before: datetime | None = None,
) -> Iterator[list[Run]]:
    """Pages of jobs in one of these states, the latest ended first."""
    state: dict[str, Any] = {"type": {"any_": list(types)}}
    if names:
        state["name"] = {"any_": list(names)}
    wanted: dict[str, Any] = {"state": state, "deployment_id": {"is_null_": False}}
    if ended_after is not None:
        wanted["end_time"] = {"after_": ended_after.isoformat()}
    if due_before is not None:
        wanted["next_scheduled_start_time"] = {"before_": due_before.isoformat()}
    sort = "END_TIME_DESC" if ended_after is not None else "EXPECTED_START_TIME_ASC"
    offset = 0
    while True:
        body = {"flow_runs": wanted, "sort": sort, "limit": PAGE, "offset": offset}
        found: list[dict[str, Any]] = api().request("POST", "/flow_runs/filter", json=body).json()
        _learn_flow_names({run["flow_id"] for run in found})
        yield [_run(one) for one in found if one.get("work_pool_name") != OPS]
        if len(found) < PAGE:
            return
        offset += PAGE


def by_id(ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Those of at most `PAGE` runs that still exist."""
    if not ids:
        return {}
    body = {"flow_runs": {"id": {"any_": [str(one) for one in ids]}}, "limit": PAGE}
    found: list[dict[str, Any]] = api().request("POST", "/flow_runs/filter", json=body).json()
    _learn_flow_names({run["flow_id"] for run in found})
    return {UUID(one["id"]): _run(one) for one in found}


def _learn_flow_names(ids: set[str]) -> None:
    unknown = sorted(ids - _flow_names.keys())
    if unknown:
        body = {"flows": {"id": {"any_": unknown}}, "limit": PAGE}
        _flow_names.update(
            (flow["id"], flow["name"]) for flow in api().request("POST", "/flows/filter", json=body).json()
        )


def _run(one: dict[str, Any]) -> Run:
    state = one["state"] or {}
    details = state.get("state_details") or {}
    scheduled = details.get("scheduled_time")
    return Run(
        id=UUID(one["id"]),
        name=one["name"],
        job=_flow_names.get(one["flow_id"], "unknown"),
        flow_id=UUID(one["flow_id"]),
        deployment_id=UUID(one["deployment_id"]) if one.get("deployment_id") else None,
        queue=one.get("work_queue_name") or "default",
        pool=one.get("work_pool_name") or "",
        state_id=UUID(state["id"]),
        state_type=state["type"],
        state_name=state["name"],
        message=state.get("message") or "",
        since=datetime.fromisoformat(state["timestamp"]),
        end_time=datetime.fromisoformat(one["end_time"]) if one.get("end_time") else None,
        scheduled=datetime.fromisoformat(scheduled) if scheduled else None,
        parameters=one.get("parameters") or {},
        tags=tuple(one.get("tags") or ()),
        labels=one.get("labels") or {},
        pid=one.get("infrastructure_pid"),
        retry_type=(one.get("empirical_policy") or {}).get("retry_type"),
        spent=Spent.of(one),
    )
