"""Points of a metric, as a receiver got them."""

from __future__ import annotations

from typing import Any

from tests.support.otlp import Receiver


def told(receiver: Receiver, name: str) -> list[Any]:
    """The points of a metric, in the order in which they came."""
    found = []
    for request in receiver.metrics:
        for metric in (one for of in request.resource_metrics for scope in of.scope_metrics for one in scope.metrics):
            if metric.name == name:
                kind = metric.WhichOneof("data")
                found += [(getattr(metric, kind), point) for point in getattr(metric, kind).data_points]
    return found
