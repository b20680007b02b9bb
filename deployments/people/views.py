"""Views that people saved: a page's filter under a name, for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from redrive.blocks.core.errors import ParameterError
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.tallies import insert_into
from redrive.deployments.people.tables import saved_views

#: Characters of a name and of a filter.
NAME_LIMIT: Final = 60
QUERY_LIMIT: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class View:
    """A filter with a name."""

    name: str
    query: str
    who: str


class Views:
    """The saved views in the ledger's database. Raises `LedgerUnavailable` when that cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, page: str) -> list[View]:
        """Those of a page, by name."""
        query = select(saved_views).where(saved_views.c.page == page).order_by(saved_views.c.name)
        return self._database.run(
            lambda connection: [View(name=row.name, query=row.query, who=row.who) for row in connection.execute(query)]
        )

    def save(self, page: str, name: str, query: str, *, who: str) -> None:
        """Keep a filter under a name; one of that name is replaced.

        Raises:
            ParameterError: a name or a filter that is none.
        """
        name = name.strip()
        if not name or len(name) > NAME_LIMIT or not name.isprintable():
            raise ParameterError(f"{name!r} is no name of a view: it has 1 to {NAME_LIMIT} printable characters")
        if not query.strip() or len(query) > QUERY_LIMIT:
            raise ParameterError(f"a view has a filter of 1 to {QUERY_LIMIT:,} characters")
        row = {"name": name, "page": page, "query": query.strip(), "who": who, "at": datetime.now(UTC)}

        def work(connection: Connection) -> None:
            insert = insert_into(connection, saved_views)
            changed = {column: insert.excluded[column] for column in row if column != "name"}
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changed), row)

        self._database.run(work)

    def forget(self, name: str) -> None:
        """Take one away."""
        mine = delete(saved_views).where(saved_views.c.name == name)
        self._database.run(lambda connection: connection.execute(mine))
