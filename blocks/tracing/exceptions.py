"""Exceptions as events of a log, which the conventions want in place of events of spans: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/

Where logs are sent, each exception that a span has is sent as a log event too. The span keeps its own, as most tools still look there,
unless `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN=logs` says that the log is enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from redrive.blocks.tracing import names

Json = dict[str, Any]

#: The specification's variable while tools move from one to the other.
OPT_IN = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
#: Python's level of an error.
_ERROR = 40


def exception_lines(span: Json) -> Iterator[Json]:
    """The exceptions of a span that ended, as lines of a log; cleaned as the span is."""
    kept = span["attributes"]
    about = {name: kept[name] for name in (names.MESSAGE_ID, names.DESTINATION, names.JOB, names.STEP) if name in kept}
    for name, at, attributes in span["events"]:
        if name == names.EXCEPTION:
            yield {
                "at": at,
                "level": _ERROR,
                "logger": span["scope"][0],
                "text": str(attributes.get(names.EXCEPTION_MESSAGE, "")),
                "event": names.EXCEPTION,
                "trace": span["trace"],
                "span": span["span"],
                "attributes": {**about, **attributes},
            }


def without_exceptions(span: Json) -> Json:
    """The span as it is sent beside such lines."""
    if os.environ.get(OPT_IN, "").strip().lower() != "logs":
        return span
    return {**span, "events": [event for event in span["events"] if event[0] != names.EXCEPTION]}
