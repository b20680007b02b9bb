"""What JSON holds of a result, and what it would change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from prefect.results import ResultRecord
from pydantic import BaseModel, Field

from redrive.blocks.core.payloads import DocumentRecord, DocumentsResult, SyncResult
from redrive.flows.engine.stored_result import SERIALIZER, difference


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float


class Pair(NamedTuple):
    one: int
    two: int


class Partly(BaseModel):
    seen: int = Field(0, exclude=True)


DOCUMENT = DocumentRecord(name="a.pdf", source="/a.pdf", checksum="0", size=1, mime="application/pdf", authors=("Ada",))


def changed(value: Any) -> str | None:
    return difference(value, SERIALIZER.loads(SERIALIZER.dumps(value)))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 1, 2.5, "text", math.nan, math.inf, [1, [2, {"a": None}]], {}, {"a": {"b": [1]}}, (1, ("a",)), {1, 2},
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), date(2026, 1, 2), timedelta(seconds=1.5), UUID(int=7), Path("/a/b"),
        Colour.RED, Decimal("1.12345678901234567890"), Point(1, 2.5),
        DOCUMENT, [DOCUMENT], DocumentsResult(documents=(DOCUMENT,), store="documents"),
        SyncResult(table="t", source="s", read=1, inserted=1, updated=0, unchanged=0),
    ],
    ids=repr,
)  # fmt: skip
def test_value_that_comes_back_as_it_was_is_taken(value: object) -> None:
    assert changed(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1: "one"}, "the key 1 of result is no text"),
        ({"rows": [{2: 3}]}, "the key 2 of result['rows'][0] is no text"),
        ([Pair(1, 2)], "result[0] is of type Pair and would come back as list"),
        (Partly(seen=3), "result is of type Partly and would come back changed"),
        ({"__class__": "builtins.int", "data": 3}, "result is of type dict and would come back as int"),
    ],
)
def test_value_that_json_would_change_is_named(value: object, said: str) -> None:
    assert changed(value) == said


@pytest.mark.parametrize("value", [{"data": 1}, {"result": [2]}, {"metadata": 3, "result": 4}, DOCUMENT], ids=repr)
def test_value_that_looks_like_a_record_of_an_old_prefect_is_read_as_it_was(value: object) -> None:
    record = ResultRecord.deserialize(SERIALIZER.dumps(value), backup_serializer=SERIALIZER)

    assert record.result == value
    assert type(record.result) is type(value)


def test_none_as_a_key_is_named() -> None:
    assert changed({None: 1}) == "the key None of result is no text"
