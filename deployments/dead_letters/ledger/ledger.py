"""The ledger: every dead letter, what was done to it, and nothing else.

Danger: rows hold secrets as the jobs got them. Show `row.masked()` to people, never the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from redrive.blocks.core.errors import ParameterError
from redrive.deployments.dead_letters.ledger import (
    acts,
    bulk,
    cursors,
    locks,
    pruning,
    queries,
    recording,
    schema,
)
from redrive.deployments.dead_letters.ledger import duties as keeper_duties
from redrive.deployments.dead_letters.ledger import tallies as sums
from redrive.deployments.dead_letters.ledger.bulk_acts import BulkActs
from redrive.deployments.dead_letters.ledger.causes import Causes
from redrive.deployments.dead_letters.ledger.counts import Counts
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.duties import DutyRecord
from redrive.deployments.dead_letters.ledger.filters import Filter
from redrive.deployments.dead_letters.ledger.reader import LedgerReader
from redrive.deployments.dead_letters.ledger.rows import DeadLetter, Death, Recorded, RowsPage


class Ledger(LedgerReader):
    """The ledger in the database of a SQLAlchemy URL. Made once per process; safe to share between threads.

    Every method is one or a few short transactions, and raises `LedgerUnavailable` when the database cannot be reached; calling
    again after it came back works.
    """

    def __init__(self, url: str) -> None:
        super().__init__(Database(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._database.dispose()

    def together(self) -> AbstractContextManager[None]:
        """What this thread reads meanwhile is read in one transaction."""
        return self._database.together()

    @property
    def counts(self) -> Counts:
        """The counts of finished jobs, for metrics."""
        return Counts(self._database)

    @property
    def causes(self) -> Causes:
        """What is known of causes beyond their sums."""
        return Causes(self._database)

    @property
    def bulk_acts(self) -> BulkActs:
        """The bulk acts that go on by themselves."""
        return BulkActs(self._database)

    def migrate(self) -> None:
        """Make or upgrade the tables; safe to call by any number of processes at once."""
        schema.migrate(self._database)

    # The keeper's side

    def record(self, death: Death) -> Recorded:
        """Put a death into the ledger: a new row, or the same run's row reopened, or nothing if it is known."""
        return recording.record_deaths(self._database, [death])[0]

    def record_all(self, deaths: Iterable[Death]) -> list[Recorded]:
        """`record` for many, in few transactions; results in the order given."""
        return recording.record_deaths(self._database, deaths)

    def known(self, state_ids: Iterable[UUID]) -> set[UUID]:
        """Which of these final states were collected before, also if the row was pruned since."""
        asked = list(state_ids)
        found: set[UUID] = set()
        for start in range(0, len(asked), recording.CHUNK):
            part = asked[start : start + recording.CHUNK]
            found |= self._database.run(partial(recording.known_states, state_ids=part))
        return found

    def redriven(self, *, limit: int = 200, cursor: str | None = None) -> RowsPage[DeadLetter]:
        """Redriven rows whose outcome (`row.outcome_run_id`) is still to come, oldest first."""
        return self._database.run(lambda connection: queries.redriven(connection, limit=limit, cursor=cursor))

    def resolve(self, run_id: UUID, *, who: str = recording.KEEPER, why: str = "completed") -> list[DeadLetter]:
        """A run completed: close its own row and those of the runs it replaced. Empty if there is nothing to close."""
        return self._database.run(lambda connection: acts.resolve(connection, run_id, who=who, why=why))

    def rescue_lock(self, run_id: UUID, *, wait: float = locks.WAIT) -> AbstractContextManager[None]:
        """Hold while deciding about a run; over all processes on Postgres, within this one on SQLite."""
        return locks.rescue_lock(self._database, run_id, wait=wait)

    def cursor(self, name: str) -> str | None:
        """How far the sweep of that name has come, as it said itself."""
        return self._database.run(lambda connection: cursors.read_cursor(connection, name))

    def set_cursor(self, name: str, value: str) -> None:
        self._database.run(lambda connection: cursors.write_cursor(connection, name, value))

    def begin_duties(self, keeper: str, every: Mapping[str, float]) -> None:
        """A keeper starts with these duties, by name with the seconds between two rounds."""
        self._database.run(lambda connection: keeper_duties.begin(connection, keeper, every))

    def duty_done(self, keeper: str, *done: DutyRecord) -> None:
        """Write what a keeper did of its duties since its last record."""
        self._database.run(lambda connection: keeper_duties.record(connection, keeper, done))

    def forget_keepers(self, keeper: str, duties: Sequence[str]) -> None:
        """Forget keepers that are gone for a day, for the duties that this one has just done."""
        self._database.run(lambda connection: keeper_duties.forget_others(connection, keeper, duties))

    def audited(self, *, found: int, uncollected: int) -> None:
        """An audit is over: add the failures it `found` that the tail had missed; so many are still `uncollected`."""
        self._database.run(
            lambda connection: keeper_duties.count_audit(connection, found=found, uncollected=uncollected)
        )

    def prune(self, before: datetime) -> int:
        """Delete resolved and discarded rows that were closed before that time, with their acts; returns how many."""
        return pruning.prune(self._database, before)

    def recount(self) -> int:
        """Repair: make the sums anew from the rows; everybody else waits. Returns the number of groups."""
        return self._database.run(sums.recount)

    # Acts of people

    def claim_for_redrive(self, row_id: UUID, *, who: str, why: str = "", batch: UUID | None = None) -> DeadLetter:
        """Open to redriven: of any number of callers at once exactly one gets the row, and then has to redrive it.

        Raises:
            Conflict: it is not open; says who did what when.
            NotFound: it is gone.
        """
        person = _person(who)
        return self._database.run(
            lambda connection: acts.claim_for_redrive(connection, row_id, who=person, why=why, batch=batch)
        )

    def unclaim(self, row_id: UUID, *, who: str, why: str) -> DeadLetter:
        """Redriven back to open, because the redrive could not be carried out.

        Raises:
            Conflict: it is not redriven, or a new run is already linked to it.
            NotFound: it is gone.
        """
        return self._database.run(lambda connection: acts.unclaim(connection, row_id, who=_person(who), why=why))

    def link_replacement(self, run_id: UUID, replaced_by: UUID) -> DeadLetter:
        """A redriven run goes on as another one, whose outcome is from now on its outcome.

        Raises:
            Conflict: it is not redriven.
            NotFound: there is no row of that run.
        """
        return self._database.run(lambda connection: acts.link_replacement(connection, run_id, replaced_by))

    def discard(
        self,
        row_id: UUID,
        *,
        who: str,
        why: str = "",
        batch: UUID | None = None,
        also_redriven: bool = False,
    ) -> DeadLetter:
        """Open to discarded; with `also_redriven` a redriven row too (its run was cancelled by a person).

        Raises:
            Conflict: it is neither; says who did what when.
            NotFound: it is gone.
        """
        return self._database.run(
            lambda connection: acts.discard(
                connection, row_id, who=_person(who), why=why, batch=batch, also_redriven=also_redriven
            )
        )

    def discard_all(
        self,
        asked: Filter,
        *,
        who: str,
        why: str = "",
        batch: UUID | None = None,
        at_most: int | None = None,
        progress: Callable[[int], bool] = lambda _done: True,
    ) -> int:
        """Discard every open row that fits, oldest first; `progress(done)` says after each 500 whether to go on."""
        return bulk.discard_all(
            self._database,
            asked,
            who=_person(who),
            why=why,
            batch=batch or uuid4(),
            at_most=at_most,
            progress=progress,
        )

    def record_batch(self, what: str, *, who: str, why: str, batch: UUID, count: int) -> None:
        """Write the sum of a bulk act (a paced redrive) into the history."""
        self._database.run(
            lambda connection: bulk.record_batch(connection, what, who=_person(who), why=why, batch=batch, count=count)
        )

    def reopen(self, row_id: UUID, *, who: str, why: str = "") -> DeadLetter:
        """Any other status to open again: the discard or the redrive was a mistake.

        Raises:
            Conflict: it is open.
            NotFound: it is gone.
        """
        return self._database.run(lambda connection: acts.reopen(connection, row_id, who=_person(who), why=why))


def _person(who: str) -> str:
    if not who.strip():
        raise ParameterError("say who acts: every act in the ledger has a name to it")
    return who.strip()[: recording.NAME_LIMIT]
