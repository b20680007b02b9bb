"""Requests about artifacts."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json

#: Prefect's own limit of artifacts a call.
PAGE = 200


def find(body: Json) -> Request[list[Json]]:
    """Artifacts that fit a filter, at most `body["limit"]`."""
    return Request(method="POST", path="/artifacts/filter", body=body, read=as_json)


def create(fields: Json) -> Request[Json]:
    """Publish an artifact."""
    return Request(method="POST", path="/artifacts/", body=fields, read=as_json)
