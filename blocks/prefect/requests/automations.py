"""Requests about Prefect's automations."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json


def all_of_them() -> Request[list[Json]]:
    """The automations there are, up to two hundred, with `name`, `enabled` and `trigger`."""
    return Request(method="POST", path="/automations/filter", body={"limit": 200}, read=as_json)
