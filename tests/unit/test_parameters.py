"""What a job may be given: what JSON can say and a flow reads back, or one sentence."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, SecretStr

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.nearest import unknown
from redrive.deployments.job_request import PAST, due_at
from redrive.deployments.parameters import checked


class Colour(Enum):
    RED = "red"


class Address(BaseModel):
    city: str
    since: date


@dataclass
class Line:
    amount: Decimal
    colour: Colour


def job(
    day: date,
    moment: datetime,
    colour: Colour,
    price: Decimal,
    id: UUID,  # noqa: A002  (a parameter's name, as jobs have them)
    path: Path,
    address: Address,
    lines: list[Line],
    wait: timedelta,
    tags: set[str],
) -> None: ...


GIVEN: dict[str, Any] = {
    "day": date(2026, 2, 3),
    "moment": datetime(2026, 2, 3, 4, 5, tzinfo=UTC),
    "colour": Colour.RED,
    "price": Decimal("1.50"),
    "id": UUID(int=7),
    "path": Path("in/x"),
    "address": Address(city="Paris", since=date(2020, 1, 1)),
    "lines": [Line(Decimal(2), Colour.RED)],
    "wait": timedelta(minutes=90),
    "tags": {"one"},
}


def schema() -> dict[str, Any]:
    return dict(parameter_schema(job).model_dump_for_openapi())


def test_python_values_arrive_as_equal_ones() -> None:
    written = checked("job", GIVEN, schema(), {})

    assert json.loads(json.dumps(written)) == written
    assert Flow(fn=job).validate_parameters(written) == GIVEN
    assert written["lines"] == [{"amount": "2", "colour": "red"}]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("colour", "blue", "parameter 'colour' does not fit"),
        ("address", {"city": 7}, "parameter 'address"),
        ("price", object(), "cannot be written as JSON"),
        ("price", math.nan, "holds the number nan"),
        ("path", "a\x00b", "holds a NUL character"),
        ("address", {"city": "\ud83d", "since": "2020-01-01"}, "half of a surrogate pair"),
        ("path", SecretStr("x"), "holds a SecretStr"),
        ("lines", [{"amount": SecretStr("x")}], "holds a SecretStr"),
    ],
)
def test_what_cannot_arrive_as_it_is_is_refused_in_one_sentence(name: str, value: object, says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        checked("job", {**GIVEN, name: value}, schema(), {})

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(ParameterError):
        checked("job", {**GIVEN, "tags": endless}, schema(), {})


def test_a_time_in_the_past_is_refused_and_this_very_minute_is_not() -> None:
    now = datetime.now(UTC)

    with pytest.raises(ParameterError, match="lies in the past"):
        due_at(None, now - timedelta(seconds=PAST + 5))
    assert due_at(None, now - timedelta(seconds=PAST - 5)) == now - timedelta(seconds=PAST - 5)


@pytest.mark.parametrize("delay", [1e300, timedelta.max, math.inf, math.nan])
def test_a_delay_beyond_the_calendar_is_refused(delay: Any) -> None:
    with pytest.raises(ParameterError):
        due_at(delay, None)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    assert (
        unknown("queue", "Hihg", ["high", "low"])
        == "there is no queue 'Hihg'; did you mean 'high'? There are high, low"
    )
    assert unknown("queue", "x", ["high", "low"]) == "there is no queue 'x'; there are high, low"
