"""Requests about workers, which Prefect knows by pool, name and last heartbeat."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json, part


def of_pool(pool: str, *, online: bool = False) -> Request[list[Json]]:
    """The workers of a pool, with `name`, `last_heartbeat_time` and `heartbeat_interval_seconds`.

    Args:
        pool: its name.
        online: only those that sent a heartbeat lately.
    """
    body = {"workers": {"status": {"any_": ["ONLINE"]}}} if online else {}
    return Request(method="POST", path=f"/work_pools/{part(pool)}/workers/filter", body=body, read=as_json)
