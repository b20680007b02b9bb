"""What keeps a job from running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Kind = Literal[
    "over",
    "running",
    "early",
    "retry",
    "paused",
    "gone",
    "nobody",
    "busy",
    "limit",
    "behind",
    "slow",
    "soon",
    "unknown",
]


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """One thing that keeps a job from running. `until`: when it ends by itself; `held_by`: the jobs that hold what it needs."""

    kind: Kind
    said: str
    until: datetime | None = None
    held_by: tuple[UUID, ...] = ()
