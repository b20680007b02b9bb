"""The wait of a run: when it is due, and how long that was to be, as a label beside the state that waits.

A due time is told by the server's clock as whoever tells it knows it, from answers that are a second or two old. Where that clock was
put back since, the run would wait for as long as the step was wide; by this label the keeper sees it.

Danger: the label belongs to the one state that is due at exactly that time. Of any other it says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

#: When the run is due, and after how many seconds that was to be: `2026-11-30T12:00:05+00:00 3.0`.
WAIT: Final = "redrive.wait"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A run is due `at`, which was to be `meant` after it was said."""

    at: datetime
    meant: timedelta

    @classmethod
    def until(cls, at: datetime, *, told: datetime) -> Wait:
        """Args:
        at: when the run is due.
        told: the server's time as it was known when that was decided.
        """
        return cls(at=at, meant=max(timedelta(0), at - told))

    @classmethod
    def of(cls, label: Any) -> Wait | None:
        """What a label says; None if there is none or it cannot be read."""
        try:
            at, seconds = str(label or "").split()
            due = datetime.fromisoformat(at)
            return cls(at=due.astimezone(UTC), meant=timedelta(seconds=float(seconds))) if due.tzinfo else None
        except (ValueError, OverflowError):
            return None

    @property
    def label(self) -> dict[str, str]:
        return {WAIT: f"{self.at.isoformat()} {self.meant.total_seconds()}"}
