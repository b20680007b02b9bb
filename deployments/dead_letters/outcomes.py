"""How jobs end, read from their flow runs as Prefect's API tells them: which outcome it was, and what the job took until then.

Danger: Prefect gives a run that never started a start time when it ends; only its run count tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import REDRIVEN_AT, RESCUES, RETRIES
from redrive.deployments.dead_letters.ledger.finishes import Status

#: Prefect cancels a waiting run whose deployment is gone; nobody asked for that, so it is a dead letter.
_LOST_DEPLOYMENT = re.compile(r"deployment.*(no longer exists|not found|deleted|missing)", re.IGNORECASE)


def outcome_of(state_type: str, message: str) -> Status | None:
    """What became of a job in a state of that type; None if that is no end: a crashed job is rescued or dead-lettered soon."""
    match state_type:
        case "COMPLETED":
            return "completed"
        case "FAILED":
            return "dead"
        case "CANCELLED":
            return "dead" if _LOST_DEPLOYMENT.search(message) else "cancelled"
        case _:
            return None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a job took so far. Retries and rescues count since it was last redriven (`since`), the seconds since ever.

    `ran`: seconds of all attempts together; `waited`: seconds from due to its first start, None if it never started.
    """

    retries: int = 0
    rescues: int = 0
    since: str = ""
    ran: float = 0.0
    waited: float | None = None

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Spent:
        """Of a flow run as the API tells it."""
        labels = run.get("labels") or {}
        return cls(
            retries=_count(labels.get(RETRIES)),
            rescues=_count(labels.get(RESCUES)),
            since=str(labels.get(REDRIVEN_AT) or ""),
            ran=float(run.get("total_run_time") or 0),
            waited=_waited(run),
        )

    @classmethod
    def of_run(cls, run: Run) -> Spent:
        """Of a flow run as the gateway reads it."""
        waited = None
        if run.run_count and run.start_time and run.expected_start:
            waited = max(0.0, (run.start_time - run.expected_start).total_seconds())
        return cls(
            retries=run.labels.retries,
            rescues=run.labels.rescues,
            since=run.labels.redriven_at,
            ran=run.ran,
            waited=waited,
        )


def _waited(run: Mapping[str, Any]) -> float | None:
    due, started = run.get("expected_start_time"), run.get("start_time")
    if not run.get("run_count") or not due or not started:
        return None
    return max(0.0, (datetime.fromisoformat(started) - datetime.fromisoformat(due)).total_seconds())


def _count(label: Any) -> int:
    try:
        return max(0, int(label or 0))
    except (TypeError, ValueError):
        # Labels can be written by anybody.
        return 0
