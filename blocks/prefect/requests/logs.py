"""Requests about log lines."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json

#: Prefect's own limit of lines a call.
PAGE = 200


def find(body: Json) -> Request[list[Json]]:
    """Lines that fit a filter, at most `body["limit"]`."""
    return Request(method="POST", path="/logs/filter", body=body, read=as_json)
