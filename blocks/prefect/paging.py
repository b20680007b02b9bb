"""Pages of runs by keyset: each begins where the one before stopped, at a time and without the runs seen at that time.

Pages by number would skip runs while others leave their state in the middle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Self
from uuid import UUID

from redrive.blocks.prefect.request import Json, Request
from redrive.blocks.prefect.requests import runs
from redrive.blocks.prefect.wanted import Wanted

#: Prefect's own limit of runs a call.
PAGE = 200
#: Before and after every run.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9000, 1, 1, tzinfo=UTC)


class Order(Enum):
    """By which time pages go: field of a run, Prefect's name of the order, and whether it is the latest first."""

    ENDED = ("end_time", "END_TIME_DESC", True)
    #: When the run was first to start; unlike other times it never changes.
    EXPECTED = ("expected_start_time", "EXPECTED_START_TIME_ASC", False)
    DUE = ("next_scheduled_start_time", "NEXT_SCHEDULED_START_TIME_ASC", False)
    #: By the same time as `EXPECTED`, as people read lists.
    LATEST = ("expected_start_time", "EXPECTED_START_TIME_DESC", True)


@dataclass(frozen=True)
class Place:
    """Where a page ended: the time of its last run, and the runs with that very time seen so far."""

    at: datetime
    seen: tuple[UUID, ...] = ()

    def text(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "seen": [str(one) for one in self.seen]})

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """None if there is none, or it was written by somebody else."""
        try:
            found = json.loads(text) if text else None
            return cls(datetime.fromisoformat(found["at"]), tuple(map(UUID, found["seen"]))) if found else None
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class JsonPage:
    """Some runs as the API gives them; `next` is the place of the page after it, None on the last one."""

    runs: list[Json]
    next: Place | None


def page(wanted: Wanted, order: Order, *, after: Place | None = None, limit: int = PAGE) -> Request[JsonPage]:
    """One page."""
    field, sort, descending = order.value
    body = wanted.body()
    place = after or Place(wanted.ended_before or END if descending else BEGINNING)
    body["flow_runs"].setdefault(field, {})["before_" if descending else "after_"] = place.at.isoformat()
    if place.seen:
        body["flow_runs"].setdefault("id", {})["not_any_"] = [str(one) for one in place.seen]

    def read(found: Any) -> JsonPage:
        if len(found) < limit:
            return JsonPage(found, None)
        last = datetime.fromisoformat(found[-1][field])
        seen = tuple(UUID(one["id"]) for one in found if datetime.fromisoformat(one[field]) == last)
        return JsonPage(found, Place(last, (*place.seen, *seen) if last == place.at else seen))

    request = runs.find({**body, "sort": sort, "limit": limit})
    return Request(method=request.method, path=request.path, body=request.body, read=read)
