"""Times on the command line: how long ago, or a date and time.

Danger: a time without a zone is local time, as people mean it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from redrive.blocks.core.durations import duration
from redrive.blocks.core.errors import ParameterError


def since(text: str | None, now: datetime) -> datetime | None:
    """A time, or how long ago it was.

    Raises:
        ParameterError: it is neither.
    """
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    try:
        return now - duration("--since", text)
    except (ParameterError, OverflowError):
        raise ParameterError(f"--since {text!r} is no time; write 30m, 2h or 1d (ago), or 2026-12-24T18:00") from None
