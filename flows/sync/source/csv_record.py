"""The form of one record of CSV, as a pattern: where it ends is known without taking it apart."""

from __future__ import annotations

import re


def any_record(delimiter: str) -> re.Pattern[bytes]:
    """One record of any CSV, with its end of line."""
    cut = re.escape(delimiter)
    value = rf'(?:"(?:[^"]|"")*+"[^{cut}\r\n]*+|(?!")[^{cut}\r\n]*+)'
    return re.compile(rf"{value}(?:{cut}{value})*+(?:\r\n|\n|\r)".encode())
