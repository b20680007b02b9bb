"""The judge of spans and metrics judges: what the conventions' published model does not have is a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from redrive.blocks.tracing import names
from tests.support.conventions import ATTRIBUTES, METRICS, exception_faults, faults, metric_faults
from tests.support.otlp import ReceivedSpan

PROCESS = ReceivedSpan(
    name="process high",
    kind="CONSUMER",
    trace="1" * 32,
    id="1" * 16,
    parent="",
    attributes={
        "messaging.system": "redrive",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "high",
        "messaging.message.id": "1",
        "redrive.job": "mail",
    },
    links=(("2" * 32, "2" * 16, {"redrive.link": "created"}),),
    events=(("exception", {"exception.type": "ValueError"}),),
    failed=False,
    said="",
    start=1,
    end=2,
    scope="redrive",
    service="redrive-worker",
    schema="",
)


def with_attributes(**changed: Any) -> ReceivedSpan:
    given = {**PROCESS.attributes, **{name.replace("__", "."): value for name, value in changed.items()}}
    return replace(PROCESS, attributes={name: value for name, value in given.items() if value is not None})


def test_a_span_as_the_model_has_it_has_no_fault() -> None:
    assert faults(PROCESS) == []
    assert faults(replace(with_attributes(error__type="crash"), failed=True)) == []


@pytest.mark.parametrize(
    ("span", "fault"),
    [
        (with_attributes(messaging__system=None), "messaging.system is missing"),
        (with_attributes(messaging__destination__name=None), "messaging.destination.name is missing"),
        (with_attributes(messaging__queue="high"), "messaging.queue is none of its attributes"),
        (with_attributes(messaging__client_id="one"), "messaging.client_id is none of its attributes"),
        (with_attributes(messaging__message__id=7), "messaging.message.id is no string: 7"),
        (with_attributes(error__type="crash"), "error.type belongs to what failed, and to nothing else"),
        (replace(PROCESS, failed=True), "error.type belongs to what failed, and to nothing else"),
        (replace(PROCESS, kind="INTERNAL"), "there is no span messaging.process.internal"),
        (replace(PROCESS, name="process mail"), "its name is 'process mail'"),
        (replace(PROCESS, links=(("2", "2", {"how": "created"}),)), "a link has how"),
        (replace(PROCESS, events=(("exception", {}),)), "an exception has neither type nor message"),
    ],
)
def test_what_the_model_does_not_have_is_a_fault(span: ReceivedSpan, fault: str) -> None:
    assert fault in faults(span)


def test_a_deprecated_attribute_is_a_fault() -> None:
    assert list(exception_faults({"exception.type": "E", "exception.escaped": True})) == [
        "exception.escaped is deprecated"
    ]


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_metric_has_the_models_unit(unit: str) -> None:
    metric = Metric(name=names.OPERATION_DURATION, unit=unit)
    point = metric.histogram.data_points.add()
    for name in ("messaging.system", "messaging.operation.name", "messaging.destination.name"):
        point.attributes.add(key=name).value.string_value = "redrive"

    assert (metric_faults(metric) == []) is (unit == "s")


def test_names_in_the_code_are_those_of_the_model() -> None:
    given = {
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str) and value.startswith("messaging.")
    }

    assert given <= ATTRIBUTES.keys() | METRICS.keys()
