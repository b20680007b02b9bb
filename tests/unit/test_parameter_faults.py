"""What does not fit a job's parameters: the same as Prefect's own check says, whose import takes two seconds."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from pydantic import BaseModel, Field

from redrive.blocks.warehouse import Warehouse
from redrive.deployments.parameter_faults import first_fault


class Address(BaseModel):
    city: str = Field(min_length=2)
    zone: int | None = None


def work(
    name: str,
    count: int = 1,
    on: date | None = None,
    kind: Literal["a", "b"] = "a",
    address: Address | None = None,
    pair: tuple[int, str] = (1, "a"),
    many: list[Address] = [],  # noqa: B006  (never changed)
    block: Warehouse | None = None,
) -> None: ...


SCHEMA = parameter_schema(work).model_dump_for_openapi()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "Ada"},
        {"name": None},
        {"name": 3},
        {"name": "Ada", "count": "one"},
        {"name": "Ada", "count": None},
        {"name": "Ada", "on": "2026-12-24"},
        {"name": "Ada", "on": "tomorrow"},
        {"name": "Ada", "on": None},
        {"name": "Ada", "kind": "c"},
        {"name": "Ada", "address": {"city": "Paris", "zone": None}},
        {"name": "Ada", "address": {"city": "P"}},
        {"name": "Ada", "address": {}},
        {"name": "Ada", "pair": [1, "b"]},
        {"name": "Ada", "pair": ["b", 1]},
        {"name": "Ada", "many": [{"city": "Paris"}, {"city": 1}]},
        {"name": "Ada", "block": {"$ref": "6c9a8d2e-0d2a-4f8e-9d0b-0d7b7f1b2c3d"}},
        {"name": "Ada", "block": {"$ref": {"block_document_slug": "warehouse/default"}}},
        {"name": "Ada", "block": {"$ref": 3}},
        {"name": "Ada", "other": 1},
    ],
)
def test_fault_is_prefects(values: dict[str, Any]) -> None:
    theirs = validate(values, SCHEMA, allow_none_with_default=True)
    ours = first_fault(values, SCHEMA)

    assert (ours and ours.message) == (theirs[0].message if theirs else None)


def test_some_of_them_fit_and_some_do_not() -> None:
    assert first_fault({"name": "Ada"}, SCHEMA) is None
    assert first_fault({}, SCHEMA) is not None


def test_nothing_is_fetched() -> None:
    schema = {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}}

    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        first_fault({"a": 1}, schema)
