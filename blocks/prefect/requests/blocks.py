"""Requests about saved blocks."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json, nothing, part


def named(kind: str, name: str) -> Request[Json]:
    """A block of a type (its slug) by its name, with `data`."""
    path = f"/block_types/slug/{part(kind)}/block_documents/name/{part(name)}"
    return Request(method="GET", path=path, read=as_json)


def kind(slug: str) -> Request[Json]:
    """A type of blocks by its slug, with `id`."""
    return Request(method="GET", path=f"/block_types/slug/{part(slug)}", read=as_json)


def schemas(type_id: object) -> Request[list[Json]]:
    """The schemas of a type, the newest first, with `id`."""
    body = {"block_schemas": {"block_type_id": {"any_": [str(type_id)]}}, "limit": 1}
    return Request(method="POST", path="/block_schemas/filter", body=body, read=as_json)


def create(fields: Json) -> Request[Json]:
    """Save a new block."""
    return Request(method="POST", path="/block_documents/", body=fields, read=as_json)


def replace(block_id: object, data: Json) -> Request[None]:
    """Save other data in the place of a block's."""
    body = {"data": data, "merge_existing_data": False}
    return Request(method="PATCH", path=f"/block_documents/{part(block_id)}", body=body, read=nothing)


def delete(block_id: object) -> Request[None]:
    """Delete a saved block."""
    return Request(method="DELETE", path=f"/block_documents/{part(block_id)}", read=nothing)
