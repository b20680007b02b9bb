"""Jobs as a file: CSV for a spreadsheet, one JSON object a line for a program; secrets masked, as on the pages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

from redrive.deployments.jobs.job import Job

#: The columns of the CSV.
COLUMNS: Final = (
    "id",
    "job",
    "name",
    "queue",
    "status",
    "due",
    "started",
    "ended",
    "seconds",
    "tries",
    "crashes",
    "message",
    "parameters",
)
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(jobs: Iterable[Job]) -> Iterator[str]:
    """The lines, with a heading."""
    yield _line(COLUMNS)
    for job in jobs:
        values = asdict(job)
        yield _line([_cell(values[name]) for name in COLUMNS])


def as_json_lines(jobs: Iterable[Job]) -> Iterator[str]:
    """One object a line."""
    for job in jobs:
        yield json.dumps(asdict(job), default=str, ensure_ascii=False) + "\n"


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict) else str(value)
    # A message that a customer wrote must not be run by whoever opens the file.
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(values: Iterable[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(values)
    return written.getvalue()
