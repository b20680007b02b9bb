"""What a job left in Prefect: its states, tries and artifacts, without the report that Redrive itself leaves on a dead job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from redrive.blocks.core.masking import mask, mask_text
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.states import PastState
from redrive.blocks.prefect.trail import StepTry, trail_of
from redrive.deployments.dead_letters.failure_report import FailureReport

#: Artifacts of one job that are read, the newest.
MOST: Final = 20
#: Characters of one that are shown.
TEXT_LIMIT: Final = 4_000


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One artifact as people may read it: `text` as it was written, or a table as JSON."""

    id: UUID
    kind: str
    key: str | None
    description: str | None
    text: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Left:
    """The states of a job and the tries of its steps, the oldest first; and its artifacts, the newest first."""

    history: list[PastState]
    tries: list[StepTry]
    artifacts: list[Artifact]

    def state(self, state_id: UUID) -> PastState | None:
        """The one that the job is in. After the server's clock was put back it is not the last one by time."""
        return next((state for state in self.history if state.id == state_id), None)


def left_by(job_id: UUID, *, most: int = MOST) -> Left:
    """What a job left in Prefect; `most` artifacts.

    Raises:
        ApiUnavailable.
    """
    with reachable():
        trail = trail_of(job_id, most=most)
    published = [one for one in trail.artifacts if FailureReport.from_markdown(str(one.get("data") or "")) is None]
    return Left(history=trail.states, tries=trail.tries, artifacts=[_artifact(one) for one in published])


def _artifact(raw: dict[str, Any]) -> Artifact:
    data = raw.get("data")
    text = data if isinstance(data, str) else json.dumps(mask(data), ensure_ascii=False, indent=1, default=str)
    shown = mask_text(text[:TEXT_LIMIT])
    return Artifact(
        id=UUID(raw["id"]),
        kind=str(raw.get("type") or ""),
        key=raw.get("key"),
        description=raw.get("description"),
        text=shown if len(text) <= TEXT_LIMIT else f"{shown}\n… {len(text) - TEXT_LIMIT:,} more characters",
        at=datetime.fromisoformat(raw["created"]),
    )
