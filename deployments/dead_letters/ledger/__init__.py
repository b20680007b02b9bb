"""The dead-letter ledger: `Ledger`, the values it takes and gives, and the filter people ask with."""

from redrive.deployments.dead_letters.ledger.duties import Audit, Duty, DutyRecord
from redrive.deployments.dead_letters.ledger.filters import Filter
from redrive.deployments.dead_letters.ledger.ledger import Ledger
from redrive.deployments.dead_letters.ledger.rows import Act, DeadLetter, Death, Group, Outcome, Page, Recorded, Total

__all__ = [
    "Act",
    "Audit",
    "DeadLetter",
    "Death",
    "Duty",
    "DutyRecord",
    "Filter",
    "Group",
    "Ledger",
    "Outcome",
    "Page",
    "Recorded",
    "Total",
]
