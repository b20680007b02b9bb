"""What the published semantic conventions say of a span or metric that arrived.

Which names there are, which are deprecated, and a metric's instrument and unit are read from OpenTelemetry's own package of them
(`opentelemetry-semantic-conventions`). What it does not have, which spans there are and what each must carry, stands here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import ModuleType
from typing import Any

from opentelemetry.semconv._incubating.attributes import (
    error_attributes,
    exception_attributes,
    messaging_attributes,
    network_attributes,
    server_attributes,
)
from opentelemetry.semconv._incubating.metrics import messaging_metrics

from tests.support.otlp import ReceivedSpan

#: Under which names of our own stand.
OWN = "redrive."
#: Type of operation and kind of span, of those that a queue has.
_SPANS = {
    ("create", "PRODUCER"), ("send", "PRODUCER"), ("send", "CLIENT"), ("receive", "CLIENT"), ("process", "CONSUMER"), ("settle", "CLIENT"),
}  # fmt: skip
_REQUIRED = ("messaging.operation.name", "messaging.system")
_NUMBERS = {
    "messaging.batch.message_count", "messaging.message.body.size", "messaging.message.envelope.size", "network.peer.port", "server.port",
}  # fmt: skip


def _said(module: ModuleType) -> dict[str, str]:
    """Each name that a module of the package has a constant for, with what is said below it."""
    found, body = {}, ast.parse(inspect.getsource(module)).body
    for one, following in pairwise(body):
        if isinstance(one, ast.AnnAssign) and isinstance(one.value, ast.Constant) and isinstance(following, ast.Expr):
            found[str(one.value.value)] = str(ast.literal_eval(following.value)).strip()
    return found


#: Of attributes and of metrics: name → what the package says of it.
ATTRIBUTES = {
    name: said
    for module in (error_attributes, exception_attributes, messaging_attributes, network_attributes, server_attributes)
    for name, said in _said(module).items()
}
METRICS = _said(messaging_metrics)


def faults(span: ReceivedSpan) -> list[str]:
    """What is wrong with a messaging span."""
    return list(_of_span(span))


def metric_faults(metric: Any) -> list[str]:
    """What is wrong with a metric as OTLP has it."""
    return list(_of_metric(metric))


def _of_span(span: ReceivedSpan) -> Iterator[str]:
    operation = span.attributes.get("messaging.operation.type")
    if (operation, span.kind) not in _SPANS:
        yield f"there is no span messaging.{operation}.{span.kind.lower()}"
        return
    yield from _of_attributes(span.attributes, failed=span.failed)
    destination = span.attributes.get("messaging.destination.name")
    # `create JOB`, as issue 18 has it: the model says SHOULD, and a request is looked for by what was asked for.
    about = span.attributes.get("redrive.job") if operation == "create" else destination
    if span.name != f"{span.attributes.get('messaging.operation.name')} {about}":
        yield f"its name is {span.name!r}"
    for _, _, of in span.links:
        yield from (f"a link has {name}" for name in of if not name.startswith(OWN))
    for name, attributes in span.events:
        if name == "exception":
            yield from exception_faults(attributes)


def exception_faults(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with what an event says of an exception."""
    own = {name: value for name, value in attributes.items() if name.startswith("exception.")}
    yield from (fault for name, value in own.items() for fault in _of_value(name, value))
    if not {"exception.type", "exception.message"} & own.keys():
        yield "an exception has neither type nor message"


def _of_metric(metric: Any) -> Iterator[str]:
    said = METRICS.get(metric.name, "Deprecated:")
    if said.startswith("Deprecated:"):
        yield f"there is no metric {metric.name}"
        return
    kind = metric.WhichOneof("data")
    if not {f"Instrument: {kind}", f"Unit: {metric.unit}"} <= set(said.splitlines()):
        yield f"{metric.name} is a {kind} in {metric.unit}"
    for point in getattr(metric, kind).data_points:
        attributes = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in point.attributes}
        yield from _of_attributes(attributes, failed="error.type" in attributes)


def _of_attributes(given: Mapping[str, Any], *, failed: bool) -> Iterator[str]:
    for name in (*_REQUIRED, "messaging.destination.name"):
        if name not in given:
            yield f"{name} is missing"
    if failed != ("error.type" in given):
        yield "error.type belongs to what failed, and to nothing else"
    for name, value in given.items():
        if not name.startswith(OWN):
            yield from _of_value(name, value)


def _of_value(name: str, value: object) -> Iterator[str]:
    said = ATTRIBUTES.get(name)
    wanted = int if name in _NUMBERS else str
    if said is None:
        yield f"{name} is none of its attributes"
    elif said.startswith("Deprecated:"):
        yield f"{name} is deprecated"
    elif not isinstance(value, wanted):
        yield f"{name} is no {'int' if wanted is int else 'string'}: {value!r}"
