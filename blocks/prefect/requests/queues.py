"""Requests about the queues of a work pool."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json, nothing, part


def of_pool(pool: str, *, limit: int | None = None) -> Request[list[Json]]:
    """The pool's queues, with `id`, `name`, `priority` and `is_paused`."""
    body = {} if limit is None else {"limit": limit}
    return Request(method="POST", path=f"/work_pools/{part(pool)}/queues/filter", body=body, read=as_json)


def create(pool: str, fields: Json) -> Request[Json]:
    """Make a queue."""
    return Request(method="POST", path=f"/work_pools/{part(pool)}/queues", body=fields, read=as_json)


def update(pool: str, queue: str, fields: Json) -> Request[None]:
    """Change a queue."""
    path = f"/work_pools/{part(pool)}/queues/{part(queue)}"
    return Request(method="PATCH", path=path, body=fields, read=nothing)
