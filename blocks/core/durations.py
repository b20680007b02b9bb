"""Durations and sizes as people write them: `10m`, `1h30m`; `500MB`, `2GB`."""

from __future__ import annotations

import re
from datetime import timedelta

from redrive.blocks.core.errors import ParameterError

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
#: Megabytes.
_SIZES = {"MB": 1, "GB": 1024}


def duration(option: str, text: str) -> timedelta:
    """`30s`, `10m`, `2h`, `1d` or `1h30m`.

    Args:
        option: what it was given for, for the message.
        text: what was written.

    Raises:
        ParameterError: it is none, or longer than calendars go.
    """
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ParameterError(f"{option} {text!r} is no duration; write 30s, 10m, 2h, 1d or 1h30m")
    try:
        return timedelta(seconds=seconds_of(text))
    except OverflowError:
        raise ParameterError(f"{option} {text!r} is longer than any calendar; write 30s, 10m, 2h or 1d") from None


def seconds_of(text: str) -> float:
    """The seconds of a duration that was checked."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def span(seconds: float | timedelta) -> str:
    """`0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    for limit, unit, divisor in ((10, "s", 1.0), (120, "s", 1.0), (5400, "min", 60.0), (172800, "h", 3600.0)):
        if value < limit:
            return f"{value / divisor:.1f} {unit}" if limit == 10 else f"{value / divisor:.0f} {unit}"  # noqa: PLR2004
    return f"{value / 86400:.0f} d"


def megabytes(text: str) -> int:
    """`500MB` or `2GB` as megabytes.

    Raises:
        ValueError: it is neither.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG]B)", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is no size; write 500MB or 2GB")
    return round(float(found[1]) * _SIZES[found[2].upper()])
