"""Requests about work pools."""

from __future__ import annotations

from collections.abc import Iterable

from redrive.blocks.prefect.request import Json, Request, as_json, nothing, part


def read(pool: str) -> Request[Json]:
    """One pool."""
    return Request(method="GET", path=f"/work_pools/{part(pool)}", read=as_json)


def named(names: Iterable[str]) -> Request[list[Json]]:
    """Those of these names that there are, with `name` and `type`."""
    body = {"work_pools": {"name": {"any_": list(names)}}}
    return Request(method="POST", path="/work_pools/filter", body=body, read=as_json)


def create(fields: Json) -> Request[Json]:
    """Make a pool."""
    return Request(method="POST", path="/work_pools/", body=fields, read=as_json)


def update(pool: str, fields: Json) -> Request[None]:
    """Change a pool."""
    return Request(method="PATCH", path=f"/work_pools/{part(pool)}", body=fields, read=nothing)
