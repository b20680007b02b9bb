"""Requests about deployments."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json, nothing, part

#: Prefect's own limit of deployments a call.
PAGE = 200


def read(deployment_id: object) -> Request[Json]:
    """One deployment."""
    return Request(method="GET", path=f"/deployments/{part(deployment_id)}", read=as_json)


def named(flow: str, name: str) -> Request[Json]:
    """The deployment of a flow by its name."""
    return Request(method="GET", path=f"/deployments/name/{part(flow)}/{part(name)}", read=as_json)


def find(body: Json) -> Request[list[Json]]:
    """Deployments that fit a filter, at most `body["limit"]`."""
    return Request(method="POST", path="/deployments/filter", body=body, read=as_json)


def of_pool(pool: str) -> Request[list[Json]]:
    """Those of a pool; at most `PAGE`."""
    return find({"work_pools": {"name": {"any_": [pool]}}, "limit": PAGE})


def create(fields: Json) -> Request[Json]:
    """Make a deployment. Danger: one that exists loses the schedules that are not named; `update` leaves them."""
    return Request(method="POST", path="/deployments/", body=fields, read=as_json)


def update(deployment_id: object, fields: Json) -> Request[None]:
    """Change fields of a deployment."""
    return Request(method="PATCH", path=f"/deployments/{part(deployment_id)}", body=fields, read=nothing)


def add_schedules(deployment_id: object, schedules: list[Json]) -> Request[list[Json]]:
    """Give a deployment further schedules."""
    return Request(method="POST", path=f"/deployments/{part(deployment_id)}/schedules", body=schedules, read=as_json)


def switch_schedule(deployment_id: object, schedule_id: object, *, active: bool, parameters: Json) -> Request[None]:
    """Let one schedule start jobs, or not. Its parameters are sent along: Prefect takes them away from one whose update names none."""
    path = f"/deployments/{part(deployment_id)}/schedules/{part(schedule_id)}"
    return Request(method="PATCH", path=path, body={"active": active, "parameters": parameters}, read=nothing)


def delete_schedule(deployment_id: object, schedule_id: object) -> Request[None]:
    """Take one schedule away."""
    path = f"/deployments/{part(deployment_id)}/schedules/{part(schedule_id)}"
    return Request(method="DELETE", path=path, read=nothing)
