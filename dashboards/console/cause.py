"""One cause of failures as the pages show it: its sums, how it went, whether it came back, what people wrote about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from redrive.dashboards.console.parts import Parts
from redrive.deployments.dead_letters.ledger import Filter, Group
from redrive.deployments.dead_letters.ledger.causes import Note

#: Causes of one page.
GROUPS: Final = 50
#: The stretch of a sparkline, and its points.
LENGTH: Final = timedelta(hours=24)
POINTS: Final = 24


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One cause as the page shows it."""

    group: Group
    trend: list[int]
    came_back: datetime | None
    note: Note | None

    @property
    def state(self) -> str:
        """In one word: what somebody has to do about it."""
        counts = self.group.by_status
        if counts.get("open"):
            return "came back" if self.came_back else "open"
        if counts.get("redriven"):
            return "being redriven"
        return "resolved" if counts.get("resolved") else "discarded"

    @property
    def look(self) -> str:
        """The colour of that."""
        return {"open": "open", "came back": "back", "being redriven": "redriven", "resolved": "resolved"}.get(
            self.state, ""
        )


def causes_of(the: Parts, asked: Filter) -> list[Cause]:
    """The causes that fit, those with the most open rows first."""
    groups = [group.masked() for group in the.ledger.groups(asked, limit=GROUPS)]
    known = [group.fingerprint for group in groups]
    both = [g.fingerprint for g in groups if g.by_status.get("open")]
    trends = the.ledger.causes.trends(known, now=datetime.now(UTC), length=LENGTH, points=POINTS)
    resolved, notes = the.ledger.causes.resolved(both), the.ledger.causes.notes(known)
    return [
        Cause(
            group=group,
            trend=trends.get(group.fingerprint, []),
            came_back=_came_back(group, resolved.get(group.fingerprint)),
            note=notes.get(group.fingerprint),
        )
        for group in groups
    ]


def _came_back(group: Group, resolved: datetime | None) -> datetime | None:
    """When it was resolved before it came back; None if it did not."""
    return resolved if resolved is not None and group.last_seen > resolved else None
