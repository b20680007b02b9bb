"""The names in spans are those of the conventions' published model, in the version that we state."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as incubating
from opentelemetry.semconv._incubating.attributes.messaging_attributes import MessagingOperationTypeValues
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind

from redrive.blocks.tracing import names

#: Names under which ours stand.
OWN = "redrive."


def constants(package: Any) -> dict[str, str]:
    """Attribute names that a package of the model publishes, with the docstring that says which are deprecated."""
    found: dict[str, str] = {}
    for module in iter_modules(package.__path__):
        there = import_module(f"{package.__name__}.{module.name}")
        found |= {value: name for name, value in vars(there).items() if name.isupper() and isinstance(value, str)}
    return found


def attributes() -> set[str]:
    """Names of attributes in `names`."""
    return {
        value
        for name, value in vars(names).items()
        if name.isupper()
        and isinstance(value, str)
        and "." in value
        and name != "SCHEMA"
        and value not in names.METRICS
    }


def test_each_name_is_published_or_ours() -> None:
    published = constants(stable) | constants(incubating)

    assert {name for name in attributes() if not name.startswith(OWN)} <= published.keys()
    assert "messaging.system" in published


def test_each_metric_is_published() -> None:
    assert set(names.METRICS) <= {value for value in vars(messaging_metrics).values() if isinstance(value, str)}


def test_types_of_operations_are_published() -> None:
    assert {names.CREATE, names.PROCESS, names.SETTLE} <= {one.value for one in MessagingOperationTypeValues}


def test_the_version_is_one_that_the_model_knows() -> None:
    assert Schemas.V1_44_0.value == names.SCHEMA


def test_kinds_are_those_of_the_sdk() -> None:
    kinds = (SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER)

    assert tuple(kind.value for kind in kinds) == (names.INTERNAL, names.CLIENT, names.PRODUCER, names.CONSUMER)
