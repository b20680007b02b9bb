"""A deployment as Redrive reads it: what jobs of it may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redrive.blocks.prefect.request import Json


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment. `parameter_openapi_schema` describes its parameters, `parameters` are the defaults."""

    id: UUID
    name: str
    tags: tuple[str, ...]
    parameters: dict[str, Any]
    parameter_openapi_schema: dict[str, Any]
    #: Where its jobs wait, unless asked for otherwise.
    queue: str = "default"

    @classmethod
    def of(cls, raw: Json) -> Deployment:
        """From the API's JSON."""
        return cls(
            id=UUID(raw["id"]),
            name=str(raw["name"]),
            tags=tuple(raw.get("tags") or ()),
            parameters=raw.get("parameters") or {},
            parameter_openapi_schema=raw.get("parameter_openapi_schema") or {},
            queue=str(raw.get("work_queue_name") or "default"),
        )
