"""Requests about saved blocks."""

from __future__ import annotations

from redrive.blocks.prefect.request import Json, Request, as_json, part


def named(kind: str, name: str) -> Request[Json]:
    """A block of a type (its slug) by its name, with `data`."""
    path = f"/block_types/slug/{part(kind)}/block_documents/name/{part(name)}"
    return Request(method="GET", path=path, read=as_json)
