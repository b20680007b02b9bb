"""Who asks: the session behind a request's cookie.

A session that was seen a moment ago is believed without asking the database, and so is any that was seen before while the database
is unavailable: whoever is signed in can see what the console still knows.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.blocks.core.remembered import Remembered
from redrive.deployments.people.people import People
from redrive.deployments.people.person import Person

#: Name of the cookie. Browsers take a name that begins so only from this very host, for all its paths, and over TLS.
COOKIE: Final = "redrive_session"
SECURE_COOKIE: Final = "__Host-redrive_session"
#: Seconds that a session is believed: how long somebody whose right was taken away may go on.
BELIEVED: Final = 3.0
#: Sessions that are remembered.
REMEMBERED: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session with the person behind it."""

    token: str
    person: Person

    @property
    def csrf(self) -> str:
        """What a form of this session carries; nobody else can know it."""
        return hmac.new(self.token.encode(), b"csrf", hashlib.sha256).hexdigest()


class Sessions:
    """The sessions this process has seen, before those in the database."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._seen = Remembered[str, Person](BELIEVED, most=REMEMBERED)

    def believed(self, token: str) -> Session | None:
        """The session of a token that was seen a moment ago; asks nobody."""
        person = self._seen.fresh(token, None)
        return None if person is None else Session(token=token, person=person)

    def find(self, token: str | None) -> Session | None:
        """The session of a token.

        Raises:
            LedgerUnavailable: it was not seen before, and the database cannot be asked.
        """
        if not token:
            return None
        if (known := self.believed(token)) is not None:
            return known
        try:
            person = self._people.session(token)
        except LedgerUnavailable:
            seen = self._seen.whatever_age(token, None)
            if seen is None:
                raise
            return Session(token=token, person=seen)
        if person is None:
            self._seen.forget(token)
            return None
        return Session(token=token, person=self._seen.keep(token, person))

    def begin(self, person: Person, *, by_link: bool) -> Session:
        """Begin one, with a token that nobody has seen: one that was planted is of no use."""
        return Session(token=self._people.begin(person, by_link=by_link), person=person)

    def end(self, session: Session) -> None:
        """End it."""
        self._seen.forget(session.token)
        self._people.end(session.token)
