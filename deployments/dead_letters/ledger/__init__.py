"""The dead-letter ledger: `Ledger`, the values it takes and gives, and the filter people ask with."""

from redrive.deployments.dead_letters.ledger.duties import Audit, DutyRecord, DutyState
from redrive.deployments.dead_letters.ledger.filters import Filter
from redrive.deployments.dead_letters.ledger.ledger import Ledger
from redrive.deployments.dead_letters.ledger.rows import (
    DeadLetter,
    Death,
    Group,
    HistoryEntry,
    Outcome,
    Recorded,
    RowsPage,
    Total,
)

__all__ = [
    "Audit",
    "DeadLetter",
    "Death",
    "DutyRecord",
    "DutyState",
    "Filter",
    "Group",
    "HistoryEntry",
    "Ledger",
    "Outcome",
    "Recorded",
    "RowsPage",
    "Total",
]
