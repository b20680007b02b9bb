"""One operation history of a trial: what was accepted, what jobs did, which faults struck, what people did, how it all ended.

Lines of JSON, each with `at` (seconds of this machine's monotonic clock, the same in every process) and `op`. Whoever judges
(`checker.py`) reads nothing but this file.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from redrive.deployments.dead_letters.ledger import DeadLetter
from tests.chaos.journal import read_journal
from tests.support import fault_jobs
from tests.support.prefect_client import api

Event = dict[str, Any]

_POLICIES = {job.name: job.policy for job in fault_jobs.JOBS}


class History:
    """Appends events; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def note(self, op: str, *, at: float | None = None, **what: Any) -> None:
        line = json.dumps({"at": round(time.monotonic() if at is None else at, 4), "op": op, **what}, default=str)
        with self._lock, self.path.open("a") as file:
            file.write(line + "\n")

    def accepted(self, run_id: UUID, job: str, key: str) -> None:
        policy = _POLICIES[job]
        self.note("accepted", job=run_id, type=job, key=key, max_tries=policy.max_tries, max_crashes=policy.max_crashes)

    def fault(self, what: str) -> None:
        self.note("fault", what=what)

    def act(self, what: str, run_id: UUID, *, taken: bool) -> None:
        """What a person did; `taken` if it was accepted."""
        self.note("act", what=what, job=run_id, taken=taken)

    def finish(self, folder: Path, runs: Iterable[UUID], rows: Iterable[DeadLetter]) -> None:
        """Add what the jobs wrote themselves, and how each ended."""
        for line in read_journal(folder):
            self.note("job", at=line.at, job=line.run_id, key=line.key, pid=line.pid, what=line.what)
        by_run = {row.run_id: row for row in rows}
        for run_id in runs:
            states = api().read_flow_run_states(run_id)
            row = by_run.get(run_id)
            last = max(states, key=lambda state: str(state.timestamp)) if states else None
            self.note(
                "outcome",
                job=run_id,
                state=last.name if last else None,
                message=last.message if last else None,
                crashes=[state.message for state in states if state.type is not None and state.type.value == "CRASHED"],
                row=row.status if row else None,
            )


def read(path: Path) -> list[Event]:
    """Every event, in the order of its time."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(events, key=lambda event: float(event["at"]))
