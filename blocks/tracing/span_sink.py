"""Where the spans of a process go: its own exporter, or the worker that sends those of all its jobs."""

from __future__ import annotations

from typing import Any, Protocol


class SpanSink(Protocol):
    """Takes a span as JSON: one of ours that began, or any that ended."""

    def __call__(self, span: dict[str, Any], *, ended: bool) -> None: ...
