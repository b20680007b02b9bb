"""Rows of values as CSV records: the common form in which JSON and SQLite go on."""

from __future__ import annotations

import csv
import io
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from math import isnan
from typing import Any

#: Characters put together: more memory would fall out of the processor's cache.
PIECE = 1 << 18
#: Stands for an empty text until the records are written, as the csv module does not tell it from a missing value.
#: Random, so that no source can hold it.
EMPTY = f"redrive-empty-{secrets.token_hex(16)}"


def records(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Records of plain values: None, int, float, str, and `EMPTY` for an empty text."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerows
    left = iter(rows)
    while True:
        write(_piece(left, text))
        if not (written := text.getvalue()):
            return
        yield written.replace(EMPTY, '""').encode(errors="surrogatepass")
        text.seek(0)
        text.truncate()


def _piece(rows: Iterator[Sequence[Any]], text: io.StringIO) -> Iterator[Sequence[Any]]:
    """Rows until enough is written, however large they are."""
    for row in rows:
        yield row
        if text.tell() >= PIECE:
            return


def plain(value: Any) -> str | None:
    """A value of JSON as text; no number is rounded."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, str):
        return value or EMPTY
    return written(value)


def written(value: Any) -> str:
    """A value as JSON, with decimals digit for digit, which the json module can only read so."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(str(key))}: {written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return str(value) if isinstance(value, Decimal) else _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
