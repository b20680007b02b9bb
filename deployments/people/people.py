"""The people who may sign in, their sessions and one-time links, and the record of what they did.

Danger: tokens are kept as hashes only; what `begin` and `link` return is shown once and cannot be read again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.blocks.core.masking import mask_text
from redrive.blocks.core.nearest import unknown
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.dead_letters.ledger.schema import migrate
from redrive.deployments.dead_letters.ledger.text import storable
from redrive.deployments.people import password as passwords
from redrive.deployments.people.person import Person, Role, checked_name, checked_role
from redrive.deployments.people.tables import acts, links, people, sessions
from redrive.deployments.people.views import Views

#: How long somebody stays signed in without doing anything.
SESSION: Final = timedelta(hours=12)
#: How long a link that signs in once is good for.
LINK: Final = timedelta(minutes=30)
#: Characters of a reason or an outcome.
TEXT_LIMIT: Final = 4_000


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One thing that somebody did: `what` to `about` (`job ID`, `queue NAME`, …), why, and what came of it."""

    id: int
    at: datetime
    who: str
    what: str
    about: str
    why: str
    outcome: str


class People:
    """Raises `LedgerUnavailable` where the ledger's database cannot be reached. Safe to share between threads."""

    def __init__(self, url: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = Database(url)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._database.dispose()

    @property
    def views(self) -> Views:
        """The filters that people saved."""
        return Views(self._database)

    def migrate(self) -> None:
        """Make or upgrade the tables."""
        migrate(self._database)

    # Who there is

    def add(self, name: str, role: str, password: str) -> Person:
        """Let somebody sign in by name and password.

        Raises:
            Conflict: there is somebody of that name.
            ParameterError: name, role or password do not fit.
        """
        person = Person(name=checked_name(name), role=checked_role(role))
        row = {"name": person.name, "role": person.role, "password": passwords.kept(password), "added": self._now()}

        def work(connection: Connection) -> None:
            if connection.scalar(select(people.c.name).where(people.c.name == person.name)) is not None:
                raise Conflict(
                    f"there is a user {person.name!r} already; `redrive console user remove` takes them away"
                )
            connection.execute(insert(people), row)

        self._database.run(work)
        return person

    def remove(self, name: str) -> None:
        """Take somebody's right to sign in away, and end their sessions.

        Raises:
            NotFound: there is nobody of that name.
        """

        def work(connection: Connection) -> None:
            if connection.execute(delete(people).where(people.c.name == name)).rowcount == 0:
                known = connection.scalars(select(people.c.name)).all()
                raise NotFound(
                    unknown("user", name, known) if known else f"there is no user {name!r}; there is none yet"
                )
            connection.execute(delete(sessions).where(sessions.c.name == name))

        self._database.run(work)

    def all(self) -> list[Person]:
        """Everybody who may sign in by name and password."""
        query = select(people.c.name, people.c.role).order_by(people.c.name)
        return self._database.run(
            lambda connection: [Person(name=row.name, role=checked_role(row.role)) for row in connection.execute(query)]
        )

    def named(self, name: str) -> Person | None:
        """Somebody by name."""
        query = select(people.c.name, people.c.role).where(people.c.name == name)
        row = self._database.run(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else Person(name=row.name, role=checked_role(row.role))

    def with_password(self, name: str, password: str) -> Person | None:
        """Somebody by name and password; None if they do not belong together."""
        query = select(people).where(people.c.name == name)
        row = self._database.run(lambda connection: connection.execute(query).one_or_none())
        right = passwords.fits(password, row.password if row is not None else None)
        return Person(name=row.name, role=checked_role(row.role)) if row is not None and right else None

    # Links and sessions

    def link(self, name: str, role: Role) -> str:
        """The token of a link that signs in once."""
        token, now = secrets.token_urlsafe(32), self._now()
        row = {"token": _hashed(token), "name": checked_name(name), "role": role, "expires": now + LINK}

        def work(connection: Connection) -> None:
            connection.execute(delete(links).where(links.c.expires < now))
            connection.execute(insert(links), row)

        self._database.run(work)
        return token

    def redeem(self, token: str) -> Person | None:
        """Whom a link signs in; None if it was used, is too old or was never made."""
        used = delete(links).where(links.c.token == _hashed(token)).returning(links)
        row = self._database.run(lambda connection: connection.execute(used).one_or_none())
        if row is None or row.expires < self._now():
            return None
        return Person(name=row.name, role=checked_role(row.role))

    def begin(self, person: Person, *, by_link: bool) -> str:
        """Begin a session; its token."""
        token, now = secrets.token_urlsafe(32), self._now()
        row = {"token": _hashed(token), "name": person.name, "role": person.role if by_link else None}

        def work(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.expires < now))
            connection.execute(insert(sessions), {**row, "began": now, "expires": now + SESSION})

        self._database.run(work)
        return token

    def session(self, token: str) -> Person | None:
        """Whose session it is, with the role they have now; it lasts on from now."""
        now = self._now()

        def work(connection: Connection) -> Person | None:
            found = connection.execute(select(sessions).where(sessions.c.token == _hashed(token))).one_or_none()
            if found is None or found.expires < now:
                return None
            role = found.role or connection.scalar(select(people.c.role).where(people.c.name == found.name))
            if role is None:
                return None
            if found.expires - now < SESSION / 2:
                mine = update(sessions).where(sessions.c.token == found.token)
                connection.execute(mine.values(expires=now + SESSION))
            return Person(name=found.name, role=checked_role(role))

        return self._database.run(work)

    def end(self, token: str) -> None:
        """End a session."""
        mine = delete(sessions).where(sessions.c.token == _hashed(token))
        self._database.run(lambda connection: connection.execute(mine))

    # What was done

    def record(self, *, who: str, what: str, about: str, why: str = "", outcome: str = "done") -> None:
        """Write down what somebody did, and what came of it."""
        row = {
            "at": self._now(),
            "who": who,
            "what": what,
            "about": storable(about, limit=TEXT_LIMIT),
            "why": storable(mask_text(why), limit=TEXT_LIMIT),
            "outcome": storable(mask_text(outcome), limit=TEXT_LIMIT),
        }
        self._database.run(lambda connection: connection.execute(insert(acts), row))

    def acts(
        self, *, about: str | None = None, who: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[AuditEntry]:
        """What was done, the newest first; `before` is the id of the last one on the page before."""
        query = select(acts).order_by(acts.c.id.desc()).limit(limit)
        if about is not None:
            query = query.where(acts.c.about == about)
        if who is not None:
            query = query.where(acts.c.who == who)
        if before is not None:
            query = query.where(acts.c.id < before)
        return self._database.run(
            lambda connection: [AuditEntry(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001  (SQLAlchemy's documented name)
        )

    def latest(self, abouts: Sequence[str]) -> dict[str, AuditEntry]:
        """The latest act about each of these."""
        found = {}
        for about in abouts:
            for act in self.acts(about=about, limit=1):
                found[about] = act
        return found


def about_job(job_id: UUID | str) -> str:
    """How a job is named in the record."""
    return f"job {job_id}"


def about_queue(name: str) -> str:
    """How a queue is named in the record."""
    return f"queue {name}"


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
