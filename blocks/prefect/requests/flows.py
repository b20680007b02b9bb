"""Requests about flows: of ours, a flow's name is the job type."""

from __future__ import annotations

from collections.abc import Iterable

from redrive.blocks.prefect.request import Json, Request, part

#: Prefect's own limit of flows a call.
PAGE = 200


def name(flow_id: object) -> Request[str]:
    """The name of one flow."""
    return Request(method="GET", path=f"/flows/{part(flow_id)}", read=_name)


def names(flow_ids: Iterable[str]) -> Request[dict[str, str]]:
    """The names of flows by id; at most `PAGE` of them."""
    body = {"flows": {"id": {"any_": list(flow_ids)}}, "limit": PAGE}
    return Request(method="POST", path="/flows/filter", body=body, read=_names)


def exists(flow: str) -> Request[bool]:
    """Whether there is a flow of this name."""
    body = {"flows": {"name": {"any_": [flow]}}, "limit": 1}
    return Request(method="POST", path="/flows/filter", body=body, read=bool)


def ensure(flow: str) -> Request[str]:
    """The id of the flow of this name, made if it is missing."""
    return Request(method="POST", path="/flows/", body={"name": flow}, read=_id)


def _name(answer: Json) -> str:
    return str(answer["name"])


def _id(answer: Json) -> str:
    return str(answer["id"])


def _names(answer: list[Json]) -> dict[str, str]:
    return {flow["id"]: flow["name"] for flow in answer}
