"""A person whom a trusted proxy names in a header, where a company signs its people in once for everything.

Danger: whoever reaches the console from a trusted address can be anybody: only the proxy may do that, and it must take the header of
the outside away.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from starlette.requests import Request

from redrive.blocks.core.errors import LedgerUnavailable, ParameterError
from redrive.blocks.core.remembered import Remembered
from redrive.dashboards.console.access.session import BELIEVED, REMEMBERED, Session
from redrive.deployments.people.people import People
from redrive.deployments.people.person import Person, checked_name

#: What somebody may do of whom only the proxy has told.
UNKNOWN: Final = "viewer"


class ProxyPeople:
    """The people that trusted proxies name."""

    def __init__(self, people: People, proxies: Sequence[str], header: str) -> None:
        self._people = people
        self._networks = [ip_network(one, strict=False) for one in proxies]
        self._header = header
        # Forms of such a person carry what is drawn from this; after a restart the page has to be loaded again.
        self._secret = secrets.token_urlsafe(32)
        self._seen = Remembered[str, Person](BELIEVED, most=REMEMBERED)

    def is_asked(self, request: Request) -> bool:
        """Whether the request names somebody, and comes from a trusted proxy."""
        return bool(self._networks and request.headers.get(self._header)) and self._is_trusted(request)

    def find(self, request: Request) -> Session | None:
        """The session of whom the request names; None if it names nobody, or does not come from a trusted proxy."""
        name = request.headers.get(self._header)
        if not name or not self.is_asked(request):
            return None
        try:
            person = self._person(checked_name(name))
        except ParameterError:
            return None
        return Session(token=f"{self._secret} {person.name}", person=person)

    def _is_trusted(self, request: Request) -> bool:
        try:
            address = ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _person(self, name: str) -> Person:
        if fresh := self._seen.fresh(name, None):
            return fresh
        unknown = Person(name=name, role=UNKNOWN)
        try:
            person = self._people.named(name) or unknown
        except LedgerUnavailable:
            person = self._seen.whatever_age(name, unknown)
        return self._seen.keep(name, person)
