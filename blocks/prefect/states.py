"""The states of a run: Prefect's types, the names that Redrive gives or looks for, and a state as the API takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from redrive.blocks.prefect.request import Json

SCHEDULED: Final = "SCHEDULED"
PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
PAUSED: Final = "PAUSED"
CANCELLING: Final = "CANCELLING"
CANCELLED: Final = "CANCELLED"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
CRASHED: Final = "CRASHED"

#: Names of states of type SCHEDULED: waits for its next try; was resumed; Prefect's own Retry; due for long.
AWAITING_RETRY: Final = "AwaitingRetry"
RESUMING: Final = "Resuming"
RETRYING: Final = "Retrying"
LATE: Final = "Late"
#: Of type FAILED: a dead letter.
DEAD_LETTER: Final = "DeadLetter"
#: Of type PAUSED: waits for somebody's answer, without a process.
SUSPENDED: Final = "Suspended"

#: Of a run that somebody has.
IN_PROGRESS: Final = (PENDING, RUNNING, CANCELLING)
#: Of a run that failed: from no other is it started again.
DEAD: Final = (FAILED, CRASHED)
FINAL: Final = frozenset({COMPLETED, CANCELLED, CRASHED, FAILED})


def state(
    kind: str,
    *,
    name: str | None = None,
    message: str | None = None,
    at: datetime | None = None,
    data: Any = None,
    details: Mapping[str, Any] | None = None,
) -> Json:
    """A state to propose.

    Args:
        kind: its type.
        name: Prefect's own for the type if None.
        message: for people.
        at: when it is to start, if it waits.
        data: what the run returned.
        details: further ones.
    """
    found: Json = {"type": kind, "name": name or kind.capitalize(), "state_details": dict(details or {})}
    if message is not None:
        found["message"] = message
    if data is not None:
        found["data"] = data
    if at is not None:
        found["state_details"]["scheduled_time"] = at.isoformat()
    return found


def identified(wanted: Json) -> Json:
    """The state with an id for the act of setting it, by which an answer that was lost is recognised later."""
    return {**wanted, "state_details": {"transition_id": str(uuid4()), **wanted.get("state_details", {})}}


@dataclass(frozen=True, kw_only=True)
class PastState:
    """A state that a run was in. `raw` is what the API says of it, its result included."""

    id: UUID
    type: str
    name: str
    message: str
    timestamp: datetime
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> PastState:
        """From the API's JSON."""
        return cls(
            id=UUID(raw["id"]),
            type=str(raw["type"]),
            name=str(raw.get("name") or ""),
            message=str(raw.get("message") or ""),
            timestamp=datetime.fromisoformat(raw["timestamp"]).astimezone(UTC),
            raw=raw,
        )
