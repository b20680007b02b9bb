"""Why a program ended, in one line, from what it wrote last: a person should not have to read a traceback for it."""

from __future__ import annotations

import re

#: Characters of a reason; a longer one is cut, as the log has the rest.
_LONGEST = 500

#: From the surest mark of a reason to the weakest; of each the last line that has it counts.
_MARKS = (
    re.compile(r"^redrive: (?P<reason>.+)"),
    # PostgreSQL's, with a time in front.
    re.compile(r"\b(?:FATAL|PANIC):\s+(?P<reason>.+)"),
    re.compile(r"^(?:initdb|postgres|pg_ctl|supervisord)?:? ?(?i:error): (?P<reason>.+)"),
    # The last line of a traceback, with or without the exception's module.
    re.compile(r"^(?P<reason>[A-Za-z_][\w.]*(?:Error|Exception|Exit|Failed|Refused|Taken)\b.*)"),
    re.compile(r"(?P<reason>.*(?:\b[Ee]rror\b|[Cc]annot|[Ff]ailed).*)"),
    re.compile(r"(?P<reason>.*\S.*)"),
)


def reason(log: str) -> str:
    """The line of a log's end that says why the program ended; empty if it says nothing."""
    lines = log.splitlines()
    for mark in _MARKS:
        for line in reversed(lines):
            if found := mark.search(line):
                detail = found["reason"].strip().removesuffix(".")
                return detail if len(detail) <= _LONGEST else detail[: _LONGEST - 1] + "…"
    return ""
