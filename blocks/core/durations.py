"""Durations and sizes as people write them: `10m`, `1h30m`; `500MB`, `2GB`."""

from __future__ import annotations

import re
from datetime import timedelta

from redrive.blocks.core.errors import ParameterError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
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
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ParameterError(f"{option} {text!r} is no duration; write 30s, 10m, 2h, 1d or 1h30m")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ParameterError(f"{option} {text!r} is longer than any calendar; write 30s, 10m, 2h or 1d") from None


def megabytes(text: str) -> int:
    """`500MB` or `2GB` as megabytes.

    Raises:
        ValueError: it is neither.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG]B)", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is no size; write 500MB or 2GB")
    return round(float(found[1]) * _SIZES[found[2].upper()])
