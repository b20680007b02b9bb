"""What the pages share: the ledger, the people, the poller, what Prefect's API answered. Made once per process."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeVar

from fastapi import Depends
from starlette.requests import Request

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.blocks.core.settings import Settings
from redrive.dashboards.console.access.pace import SignInPace
from redrive.dashboards.console.live.logs import Logs
from redrive.dashboards.console.live.memo import Memo
from redrive.dashboards.console.live.outage import UNAVAILABLE, Outages
from redrive.dashboards.console.live.poller import Poller
from redrive.dashboards.console.live.refresher import Refresher
from redrive.dashboards.console.live.stream import Streams
from redrive.dashboards.console.live.visit import Answers, LiveAnswers, Visit
from redrive.deployments.dead_letters.bulk_runner import BulkRunner
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.people.people import People

T = TypeVar("T")

#: What our script adds to a request that a page makes by itself, because it is open.
LIVE: Final = "X-Live"


@dataclass(frozen=True, kw_only=True)
class Memos:
    """What was read, for all who look: of the ledger, of it what no act of a person changes, of Prefect's API, which has a price."""

    ledger: Memo
    history: Memo
    api: Memo

    def missing(self, part: str, error: Exception) -> None:
        """The poller could not read this part: pages that are opened now need not find out by themselves."""
        if isinstance(error, UNAVAILABLE):
            (self.api if part == "prefect" else self.ledger).failed(error)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one console, for one request.

    `memo`: answers of the ledger; `history`: those that no act of a person changes; `api`: those of Prefect's API; `visit`: of who
    asks; `outages`: what the page met while it was made.
    """

    settings: Settings
    ledger: Ledger
    people: People
    poller: Poller
    streams: Streams
    logs: Logs
    bulk: BulkRunner
    pace: SignInPace
    refresher: Refresher
    memos: Memos
    memo: Visit
    history: Visit
    live: LiveAnswers
    api: Answers
    visit: Visit
    outages: Outages

    def forget(self, *keys: Hashable) -> None:
        """Read these anew when they are next asked for: somebody changed them. None given: all."""
        self.memos.ledger.forget(*keys)
        self.memos.api.forget(*keys)

    def together(self, read: Callable[[], T]) -> T:
        """Read in one transaction of the ledger; while it is unavailable, from what is known.

        Raises:
            LedgerUnavailable: nothing is.
        """
        try:
            with self.ledger.together():
                return read()
        except LedgerUnavailable as error:
            self.memos.ledger.failed(error)
            self.memo.is_unavailable(error)
            return read()


async def parts_of(request: Request) -> Parts:
    """The parts of the application that a request came to. No work, so no thread of its own, which costs most when all are busy."""
    parts: Parts = request.app.state.parts
    is_live, outages = LIVE in request.headers, Outages()
    # What a page reads anew because it stays open is not laid over what it shows unless it is newer.
    noted = None if is_live else outages
    memos, visit = parts.memos, Visit(parts.memos.api, outages=noted)
    request.state.outages = outages
    return replace(
        parts,
        memo=Visit(memos.ledger, outages=noted),
        history=Visit(memos.history, outages=noted),
        api=parts.live if is_live else visit,
        visit=visit,
        outages=outages,
    )


The = Annotated[Parts, Depends(parts_of)]
