"""Requests about task runs, which are the steps of a job."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json


def of_run(run_id: object, *, limit: int) -> Request[list[Json]]:
    """The steps of a run, the newest first."""
    body: Json = {
        "flow_runs": {"id": {"any_": [str(run_id)]}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": limit,
    }
    return Request(method="POST", path="/task_runs/filter", body=body, read=as_json)


def history(step_id: object) -> Request[list[Json]]:
    """Every state a step was in."""
    return Request(method="GET", path="/task_run_states/", params={"task_run_id": str(step_id)}, read=as_json)
