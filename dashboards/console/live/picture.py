"""What the console knows at one moment: the sample of the queues, what the ledger says, and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redrive.dashboards.alerts.breaches import Breach
from redrive.dashboards.console.live.sample import Sample
from redrive.deployments.dead_letters.ledger import Audit, DutyState, Group, Total
from redrive.deployments.people.people import AuditEntry


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the ledger says: dead letters, the keeper, who paused what."""

    at: datetime
    totals: tuple[Total, ...]
    groups: tuple[Group, ...]
    duties: tuple[DutyState, ...]
    audit: Audit
    pauses: dict[str, AuditEntry]
    #: Since when the oldest open one failed, by queue and job type.
    oldest: dict[tuple[str, str], datetime]
    #: Job types beyond their budgets.
    breaches: tuple[Breach, ...] = ()

    @property
    def open(self) -> int:
        return sum(total.count for total in self.totals if total.status == "open")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is known now. `since`: by part, since when it cannot be read, with the reason."""

    number: int = 0
    at: datetime | None = None
    sample: Sample | None = None
    books: Books | None = None
    exporter: str | None = None
    missing: dict[str, tuple[datetime, str]] | None = None

    @property
    def gaps(self) -> dict[str, tuple[datetime, str]]:
        return self.missing or {}
