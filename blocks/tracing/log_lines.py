"""The trace in a line of a job's log. Prefect's lines have no field for it, so it stands at the line's end: ` trace_id=4bf9…`."""

from __future__ import annotations

import re

_MARK = re.compile(r"(?:^|[ \n])trace_id=(?P<trace>[0-9a-f]{32})\Z")


def marked(message: str, trace_id: str | None) -> str:
    """The line with its trace. Behind a traceback on a line of its own, as the last one says what was raised."""
    if trace_id is None:
        return message
    return f"{message}{chr(10) if chr(10) in message else ' '}trace_id={trace_id}"


def unmarked(message: str) -> tuple[str, str | None]:
    """The line as it was logged, and its trace if it has one."""
    found = _MARK.search(message)
    return (message[: found.start()], found["trace"]) if found else (message, None)
