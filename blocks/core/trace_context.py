"""Where a span stands: trace and span, written as W3C Trace Context writes it (https://www.w3.org/TR/trace-context/).

An attempt's trace is named by its claim, the id of the Pending state that began it: whoever knows the attempt, knows its trace,
also when the process that ran it was killed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self
from uuid import UUID

_WRITTEN = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})")
_SAMPLED = 1


@dataclass(frozen=True)
class TraceContext:
    """A span: 32 hex digits for its trace, 16 for itself, and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{_SAMPLED if self.sampled else 0:02x}"

    def within(self, parent: TraceContext | None) -> TraceContext:
        """The same span as a child of another one: in its trace, and recorded if it is."""
        return TraceContext(parent.trace_id, self.span_id, sampled=parent.sampled) if parent else self

    @classmethod
    def read(cls, text: object) -> Self | None:
        """From a `traceparent`; None if it is none. Anybody may have written it."""
        found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
        if found is None or not int(found["trace"], 16) or not int(found["span"], 16):
            return None
        return cls(found["trace"], found["span"], sampled=bool(int(found["flags"], 16) & _SAMPLED))

    @classmethod
    def of_attempt(cls, claim: str | None, again: int = 0) -> Self | None:
        """The span `process` of an attempt's first try, or of one that follows `again` others in the same process.

        None without a claim, or with one that is no id.
        """
        try:
            trace = UUID(claim or "").hex
        except ValueError:
            return None
        if again:
            trace = hashlib.sha256(f"{trace}/{again}".encode()).hexdigest()[:32]
        span = hashlib.sha256(f"{trace}/process".encode()).hexdigest()[:16]
        return cls(trace, span) if int(trace, 16) and int(span, 16) else None
