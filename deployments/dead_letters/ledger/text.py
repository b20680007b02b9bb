"""Text and JSON as every database can store them.

Danger: what is cut here is gone; the limits are far above what a person reads.
"""

from __future__ import annotations

import math
from typing import Any, Final

#: Characters that are kept. The end of a traceback says what broke, the start of a message does.
MESSAGE_LIMIT: Final = 20_000
TRACEBACK_LIMIT: Final = 200_000

#: Characters of a group's sample message.
SAMPLE_LIMIT: Final = 1_000


def storable(text: str, *, limit: int) -> str:
    """The text without what PostgreSQL refuses (NUL, lone surrogates), its middle cut out if it is longer than `limit`."""
    if len(text) > limit:
        text = f"{text[: limit // 4]}\n... {len(text) - limit} characters cut ...\n{text[-(limit - limit // 4) :]}"
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def jsonable(value: Any) -> Any:
    """A copy with NaN and infinities as None, like Prefect's own JSON, and unknown values as their text."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): jsonable(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [jsonable(inner) for inner in value]
        case _:
            return str(value)
