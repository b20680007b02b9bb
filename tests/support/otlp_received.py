"""What a receiver of OTLP got, as tests read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it arrived. `links` are (trace, span, attributes); `raw` is all that came, as text."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str, dict[str, Any]], ...]
    events: tuple[tuple[str, dict[str, Any]], ...]
    failed: bool
    said: str
    start: int
    end: int
    scope: str
    service: str
    schema: str

    def linked(self, how: str) -> tuple[str, str] | None:
        """Trace and span that its link of that kind leads to."""
        return next(((trace, span) for trace, span, of in self.links if of.get("redrive.link") == how), None)

    @property
    def place(self) -> tuple[str, str]:
        return self.trace, self.id


@dataclass(frozen=True)
class ReceivedLine:
    """A line of a log as it arrived."""

    text: str
    severity: str
    trace: str
    span: str
    message: str
    #: The name of an event, such as `exception`.
    event: str
    attributes: dict[str, Any]


def _spans(request: Any) -> Iterator[ReceivedSpan]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    kind=KINDS.get(span.kind, ""),
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    attributes=_attributes(span.attributes),
                    links=tuple(
                        (one.trace_id.hex(), one.span_id.hex(), _attributes(one.attributes)) for one in span.links
                    ),
                    events=tuple((one.name, _attributes(one.attributes)) for one in span.events),
                    failed=span.status.code == 2,
                    said=span.status.message,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    scope=of_scope.scope.name,
                    service=str(resource.get("service.name")),
                    schema=of_scope.schema_url,
                )


def _lines(request: Any) -> list[ReceivedLine]:
    records = [
        one
        for of_resource in request.resource_logs
        for of_scope in of_resource.scope_logs
        for one in of_scope.log_records
    ]
    return [
        ReceivedLine(
            text=one.body.string_value,
            severity=one.severity_text,
            trace=one.trace_id.hex(),
            span=one.span_id.hex(),
            event=one.event_name,
            attributes=_attributes(one.attributes),
            message=str(_attributes(one.attributes).get("messaging.message.id")),
        )
        for one in records
    ]


def _attributes(given: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in given}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
