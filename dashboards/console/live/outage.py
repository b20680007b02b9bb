"""What is unavailable, since when, what that means, and from when what a page shows all the same is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

from redrive.blocks.core.errors import ApiUnavailable, LedgerUnavailable, RedisUnavailable

UNAVAILABLE: Final = (ApiUnavailable, LedgerUnavailable, RedisUnavailable)
Unavailable = ApiUnavailable | LedgerUnavailable | RedisUnavailable

#: Of each: what people call it, and what its absence means.
API: Final = ("Prefect's API is unavailable", "Jobs that run go on; nothing new starts.")
LEDGER: Final = ("The ledger is unavailable", "Failures are kept with their jobs until it is back.")
REDIS: Final = ("Redis is unavailable", "What each worker does now cannot be shown. Jobs are not concerned.")
EXPORTER: Final = (
    "The exporter is unavailable",
    "Prometheus gets no figures, so no alert fires. Jobs are not concerned.",
)
_NAMES: Final[dict[type[Exception], tuple[str, str]]] = {
    ApiUnavailable: API,
    LedgerUnavailable: LEDGER,
    RedisUnavailable: REDIS,
}


@dataclass(frozen=True, kw_only=True)
class Outage:
    """One server that does not answer. `known`: when what is shown was read; None if nothing was."""

    title: str
    means: str
    said: str
    since: datetime
    known: datetime | None = None

    @property
    def is_api(self) -> bool:
        """Whether jobs are concerned."""
        return self.title == API[0]

    @classmethod
    def of(cls, error: Unavailable, *, since: datetime | None = None, known: datetime | None = None) -> Self:
        title, means = next(names for kind, names in _NAMES.items() if isinstance(error, kind))
        return cls(title=title, means=means, said=str(error), since=since or datetime.now(UTC), known=known)


class Outages:
    """Those that a page met while it was made."""

    def __init__(self) -> None:
        self._by_title: dict[str, Outage] = {}

    def note(self, outage: Outage) -> None:
        """One more part of the page is old: the page is as old as its oldest."""
        before = self._by_title.get(outage.title)
        if before is None:
            self._by_title[outage.title] = outage
        elif before.known and outage.known:
            self._by_title[outage.title] = replace(before, known=min(before.known, outage.known))

    @property
    def all(self) -> list[Outage]:
        return list(self._by_title.values())

    @property
    def known(self) -> datetime | None:
        """When the oldest of what is shown was read; None if all was read just now."""
        return min((one.known for one in self.all if one.known), default=None)
