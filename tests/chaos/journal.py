"""The journal that the jobs of tests/support/fault_jobs.py write: one short line an event, so that none is lost to `kill -9`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True)
class Line:
    """One line; `at` is in seconds of the monotonic clock."""

    what: str
    run_id: UUID
    key: str
    pid: int
    at: float = 0.0


def read_journal(folder: Path) -> list[Line]:
    path = folder / "journal"
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        what, run_id, key, pid, at = line.split()
        lines.append(Line(what, UUID(run_id), key, int(pid), float(at)))
    return lines
