"""Times on the command line: `10m`, `2h`, `1h30m`, or a date and time.

Danger: a time without a zone is local time, as people mean it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from redrive.blocks.core.errors import ParameterError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(option: str, text: str) -> timedelta:
    """`30s`, `10m`, `2h`, `1d` or `1h30m`.

    Raises:
        ParameterError: it is none, or longer than calendars go.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ParameterError(f"{option} {text!r} is no duration; write 30s, 10m, 2h, 1d or 1h30m")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ParameterError(f"{option} {text!r} is longer than any calendar; write 30s, 10m, 2h or 1d") from None


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
