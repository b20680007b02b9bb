"""Bulk acts that go on by themselves: who asked for which dead letters to be redriven or discarded, why, how far it is.

The number is fixed when it is asked for: rows that come later are not among them. What was done is counted by the acts in the ledger
itself, so that a runner that was killed leaves nothing uncertain.

Danger: two runners may see one act; only who claims it runs it, and must say that it lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, or_, select, update

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.filters import Filter, describe
from redrive.deployments.dead_letters.ledger.operator_tables import bulk_acts as acts
from redrive.deployments.dead_letters.ledger.tables import AnyRow
from redrive.deployments.dead_letters.ledger.text import storable

What = Literal["redrive", "discard"]
State = Literal["running", "stopped", "done"]

#: A runner that said nothing for so long is gone, and another one goes on.
LAPSED: Final = timedelta(seconds=20)
#: Rows that could not be acted on and are kept with the act.
FAILURES: Final = 500
TEXT_LIMIT: Final = 4_000


@dataclass(frozen=True, kw_only=True)
class BulkAct:
    """One bulk act. `failed`: rows that stay open, each with why; `said`: what holds it up, or how it ended."""

    id: UUID
    what: What
    filter: Filter
    who: str
    why: str
    rate: float | None
    wanted: int
    done: int
    failed: tuple[tuple[UUID, str], ...]
    state: State
    said: str
    asked: datetime
    ended: datetime | None
    stop_asked_by: str | None
    runner: str | None
    alive: datetime | None

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return min(1.0, (self.done + len(self.failed)) / self.wanted) if self.wanted else 1.0

    @property
    def about(self) -> dict[str, Any]:
        """Its conditions, without those that every act has."""
        return {
            name: value
            for name, value in describe(self.filter).items()
            if name not in {"status", "ids", "recorded_until"}
        }

    @classmethod
    def of(cls, row: AnyRow) -> BulkAct:
        values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001  (SQLAlchemy's documented name)
        values["filter"] = Filter(**values["filter"])
        values["failed"] = tuple((UUID(one), str(why)) for one, why in values["failed"])
        return cls(**values)


class BulkActs:
    """The bulk acts in the ledger's database. Raises `LedgerUnavailable` when that cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, what: What, asked: Filter, *, who: str, why: str, rate: float | None, wanted: int) -> BulkAct:
        """Write down an act that is to be carried out; `asked` must hold what is there now, and nothing that comes later."""
        row: dict[str, Any] = {
            "id": uuid4(),
            "what": what,
            "filter": describe(asked),
            "who": who,
            "why": storable(why, limit=TEXT_LIMIT),
            "rate": rate,
            "wanted": wanted,
            "done": 0,
            "failed": [],
            "state": "running",
            "said": "",
            "asked": datetime.now(UTC),
        }
        return self._database.run(
            lambda connection: BulkAct.of(connection.execute(insert(acts).values(**row).returning(acts)).one())
        )

    def get(self, act_id: UUID) -> BulkAct:
        """One act.

        Raises:
            NotFound.
        """
        found = self._database.run(
            lambda connection: connection.execute(select(acts).where(acts.c.id == act_id)).one_or_none()
        )
        if found is None:
            raise NotFound(f"there is no bulk act {act_id}")
        return BulkAct.of(found)

    def latest(self, *, limit: int = 50, running: bool = False) -> list[BulkAct]:
        """The acts, the newest first."""
        query = select(acts).order_by(acts.c.asked.desc()).limit(limit)
        if running:
            query = query.where(acts.c.state == "running")
        return self._database.run(lambda connection: [BulkAct.of(row) for row in connection.execute(query)])

    def stop(self, act_id: UUID, *, who: str) -> BulkAct:
        """Ask that it stops after what is at hand.

        Raises:
            NotFound: there is no such act.
            Conflict: it has ended, or somebody asked for that already.
        """
        mine = (acts.c.id == act_id, acts.c.state == "running", acts.c.stop_asked_by.is_(None))
        change = update(acts).where(*mine).values(stop_asked_by=who).returning(acts)
        row = self._database.run(lambda connection: connection.execute(change).one_or_none())
        if row is None:
            found = self.get(act_id)
            by = f" by {found.stop_asked_by}" if found.stop_asked_by else ""
            raise Conflict(f"this act is {'being stopped' if found.state == 'running' else found.state} already{by}")
        return BulkAct.of(row)

    # The runner's side

    def claim(self, runner: str) -> BulkAct | None:
        """An act that nobody runs, which this runner runs from now on."""
        now = datetime.now(UTC)
        free = or_(acts.c.runner.is_(None), acts.c.alive < now - LAPSED)

        def work(connection: Connection) -> AnyRow | None:
            query = select(acts.c.id).where(acts.c.state == "running", free).order_by(acts.c.asked).limit(1)
            found = connection.scalar(query.with_for_update(skip_locked=True))
            if found is None:
                return None
            mine = update(acts).where(acts.c.id == found).values(runner=runner, alive=now).returning(acts)
            return connection.execute(mine).one()

        row = self._database.run(work)
        return None if row is None else BulkAct.of(row)

    def alive(self, act_id: UUID, runner: str) -> bool:
        """Say that it is being run; whether it still is this runner's, and is to go on."""
        mine = (acts.c.id == act_id, acts.c.runner == runner, acts.c.state == "running")
        change = update(acts).where(*mine).values(alive=datetime.now(UTC)).returning(acts.c.stop_asked_by)
        row = self._database.run(lambda connection: connection.execute(change).one_or_none())
        return row is not None and row.stop_asked_by is None

    def progress(self, act_id: UUID, *, done: int, failed: list[tuple[UUID, str]], message: str = "") -> None:
        """Write down how far it is."""
        kept = [[str(one), why] for one, why in failed[:FAILURES]]
        change = update(acts).where(acts.c.id == act_id).values(done=done, failed=kept, said=message)
        self._database.run(lambda connection: connection.execute(change))

    def held_up(self, act_id: UUID, message: str) -> None:
        """Write down what keeps it from going on."""
        self._database.run(
            lambda connection: connection.execute(update(acts).where(acts.c.id == act_id).values(said=message))
        )

    def end(self, act_id: UUID, state: State, message: str = "") -> None:
        """Write down that it ended."""
        change = update(acts).where(acts.c.id == act_id)
        self._database.run(
            lambda connection: connection.execute(change.values(state=state, said=message, ended=datetime.now(UTC)))
        )
