"""What a stranger wrote, as one line."""

from __future__ import annotations

from redrive.flows.documents import charset

#: Characters that are kept.
LIMIT = 500


def line(value: object) -> str | None:
    """One line of at most 500 characters; bytes that came as they were (a head that is not encoded) are decoded like a text's."""
    text = str(value) if value else ""
    if not text.isprintable():
        raw = text.encode(errors="surrogateescape")
        text = (
            charset.decoded(raw) if any("\udc80" <= one <= "\udcff" for one in text) else raw.decode(errors="replace")
        )
    return " ".join(text.split())[:LIMIT] or None
