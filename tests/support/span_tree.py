"""Spans below one another, as a receiver got them."""

from __future__ import annotations

from tests.support.otlp import Receiver
from tests.support.otlp_received import ReceivedSpan


def children(receiver: Receiver, of: ReceivedSpan) -> dict[str, ReceivedSpan]:
    """The spans right below one, by name."""
    return {one.name: one for one in receiver.of_trace(of.trace) if one.parent == of.id}
