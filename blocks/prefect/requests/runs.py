"""Requests about flow runs.

Danger: `set_state` has no condition. Whatever somebody else may have done meanwhile is asked with `set_states`, which has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from redrive.blocks.prefect.request import Json, Request, as_json, nothing, part


def find(body: Json) -> Request[list[Json]]:
    """Runs that fit a filter, at most `body["limit"]`."""
    return Request(method="POST", path="/flow_runs/filter", body=body, read=as_json)


def count(body: Json) -> Request[int]:
    """How many runs fit a filter."""
    return Request(method="POST", path="/flow_runs/count", body=body, read=int)


def read(run_id: object) -> Request[Json]:
    """One run."""
    return Request(method="GET", path=f"/flow_runs/{part(run_id)}", read=as_json)


def due(pool: str, *, before: datetime, queues: Iterable[str], limit: int) -> Request[list[Json]]:
    """Runs that wait in the pool's queues and are scheduled before a time, by priority of the queue and then by time."""
    body: Json = {"scheduled_before": before.isoformat(), "limit": limit}
    if names := list(queues):
        body["work_queue_names"] = names
    return Request(method="POST", path=f"/work_pools/{part(pool)}/get_scheduled_flow_runs", body=body, read=as_json)


def set_state(run_id: object, state: Json, *, force: bool = False) -> Request[Json]:
    """Propose a state; the answer has `status`, `state` and `details`."""
    path = f"/flow_runs/{part(run_id)}/set_state"
    return Request(method="POST", path=path, body={"state": state, "force": force}, read=as_json)


def set_states(flow_runs: Json, state: Json, *, force: bool = False, limit: int) -> Request[list[Json]]:
    """Propose a state for the runs that fit a filter; an answer as of `set_state` for each."""
    body = {"flow_runs": flow_runs, "state": state, "force": force, "limit": limit}
    return Request(method="POST", path="/flow_runs/bulk_set_state", body=body, read=_results)


def history(run_id: object) -> Request[list[Json]]:
    """Every state a run was in, by time."""
    return Request(method="GET", path="/flow_run_states/", params={"flow_run_id": str(run_id)}, read=_by_time)


def label(run_id: object, labels: Mapping[str, Any]) -> Request[None]:
    """Write labels; those that are not named stay."""
    return Request(method="PATCH", path=f"/flow_runs/{part(run_id)}/labels", body=dict(labels), read=nothing)


def update(run_id: object, fields: Mapping[str, Any]) -> Request[None]:
    """Change fields of a run."""
    return Request(method="PATCH", path=f"/flow_runs/{part(run_id)}", body=dict(fields), read=nothing)


def forget_pid(run_id: object) -> Request[None]:
    """No process has the run: with a process id on it, cancelling it would wait for that process."""
    return update(run_id, {"infrastructure_pid": None})


def delete_all(flow_runs: Json, *, limit: int) -> Request[list[str]]:
    """Delete the runs that fit a filter; says which."""
    body = {"flow_runs": flow_runs, "limit": limit}
    return Request(method="POST", path="/flow_runs/bulk_delete", body=body, read=_deleted)


def create(deployment: object, body: Json) -> Request[Json]:
    """Make a run of a deployment."""
    return Request(method="POST", path=f"/deployments/{part(deployment)}/create_flow_run", body=body, read=as_json)


def create_all(deployment: object, bodies: list[Json]) -> Request[list[Json]]:
    """Make runs of a deployment; for each a result with `status`, `flow_run_id`, `error`."""
    path = f"/deployments/{part(deployment)}/create_flow_run/bulk"
    return Request(method="POST", path=path, body=bodies, read=_results)


def _results(answer: Json) -> list[Json]:
    found: list[Json] = answer["results"]
    return found


def _deleted(answer: Json) -> list[str]:
    return [str(one) for one in answer["deleted"]]


def _by_time(answer: list[Json]) -> list[Json]:
    return sorted(answer, key=lambda state: datetime.fromisoformat(state["timestamp"]))
