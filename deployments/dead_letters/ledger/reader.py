"""Reading the ledger: rows, their history, causes, sums, and how the keeper is.

Danger: rows hold secrets as the jobs got them. Show `row.masked()` to people, never the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from redrive.deployments.dead_letters.ledger import (
    bulk,
    filters,
    grouping,
    queries,
)
from redrive.deployments.dead_letters.ledger import duties as keeper_duties
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.duties import Audit, DutyState
from redrive.deployments.dead_letters.ledger.filters import Filter
from redrive.deployments.dead_letters.ledger.rows import DeadLetter, Group, HistoryEntry, RowsPage, Total

EVERYTHING = Filter()


class LedgerReader:
    """What can be asked of the ledger in a database; every method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, asked: Filter = EVERYTHING, *, limit: int = 100, cursor: str | None = None, oldest_first: bool = False
    ) -> RowsPage[DeadLetter]:
        """A page of rows by last failure, newest first; `page.next` is the cursor of the page after it."""
        return self._database.run(
            lambda connection: queries.find(connection, asked, limit=limit, cursor=cursor, oldest_first=oldest_first)
        )

    def count(self, asked: Filter = EVERYTHING) -> int:
        return self._database.run(lambda connection: queries.count(connection, asked))

    def count_newest(self, asked: Filter, *, among: int) -> tuple[int, bool]:
        """How many of the newest rows fit, and whether these are all: with a text it costs the same at any number of rows."""
        return self._database.run(lambda connection: grouping.count_newest(connection, asked, among=among))

    def get(self, which: UUID | str) -> DeadLetter:
        """One row by its id or its run's id, or the first 8 or more digits of either.

        Raises:
            NotFound: none; says which one may be meant.
            Conflict: several begin so.
            ParameterError: fewer than 8 digits.
        """
        return self._database.run(lambda connection: queries.get(connection, which))

    def of_run(self, run_id: UUID) -> DeadLetter | None:
        """The row of a run; None if it never was one. Unlike `get` it looks for no other that may be meant."""
        return self._database.run(lambda connection: queries.of_run(connection, run_id))

    def unsettled(self, run_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the runs whose dead letter is open or redriven: what still needs them must not be deleted."""
        return self._database.run(lambda connection: queries.unsettled(connection, run_ids))

    def history(self, row_id: UUID) -> list[HistoryEntry]:
        """What was done to a row, oldest first."""
        return self._database.run(lambda connection: queries.history(connection, row_id))

    def batches(self, *, limit: int = 50) -> list[HistoryEntry]:
        """The bulk acts, newest first."""
        return self._database.run(lambda connection: queries.batches(connection, limit=limit))

    def groups(self, asked: Filter = EVERYTHING, *, limit: int = 100) -> list[Group]:
        """The rows by cause, most open ones first. A filter with times, text or a batch groups the newest 500 rows that fit
        (`group.partial` says if there are more); every other filter counts all.
        """
        return self._database.run(lambda connection: grouping.find_groups(connection, asked, limit=limit))

    def fingerprint(self, prefix: str) -> str:
        """The one known fingerprint that begins so.

        Raises:
            NotFound: none does; says the newest ones.
            Conflict: several do.
        """
        return self._database.run(lambda connection: filters.one_fingerprint(connection, prefix))

    def totals(self) -> list[Total]:
        """Counts by status, queue, job type and reason, for metrics; costs the same at any number of rows."""
        return self._database.run(queries.totals)

    def oldest_open(self) -> dict[tuple[str, str], datetime]:
        """The last failure of the oldest open row, by queue and job type; those without one are absent."""
        return self._database.run(queries.oldest_open)

    def duties(self) -> list[DutyState]:
        """The keeper's duties by name, each with the seconds since any keeper last did it, by the database's clock."""
        return self._database.run(keeper_duties.duties)

    def audit(self) -> Audit:
        """What the keeper's audits found up to now."""
        return self._database.run(keeper_duties.audit)

    def batch_count(self, batch: UUID) -> int:
        """How many dead letters a bulk act changed so far."""
        return self._database.run(lambda connection: bulk.batch_count(connection, batch))

    def newest_open(self) -> datetime | None:
        """When the ledger last got a row that is open; None if none is."""
        return self._database.run(queries.newest_open)
