"""What the pages share: the ledger, the people, the poller, what Prefect's API answered. Made once per process."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from redrive.blocks.core.settings import Settings
from redrive.dashboards.console.access.pace import SignInPace
from redrive.dashboards.console.live.logs import Logs
from redrive.dashboards.console.live.memo import Answers, LiveAnswers, Memo, Visit
from redrive.dashboards.console.live.poller import Poller
from redrive.dashboards.console.live.refresher import Refresher
from redrive.dashboards.console.live.stream import Streams
from redrive.deployments.dead_letters.bulk_runner import BulkRunner
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.people.people import People

#: What our script adds to a request that a page makes by itself, because it is open.
LIVE: Final = "X-Live"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one console.

    `memo`: answers of the ledger; `history`: those that no act of a person changes; `api`: those of Prefect's API, which have a price;
    `visit`: of who asks.
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
    memo: Memo
    history: Memo
    kept: Memo
    live: LiveAnswers
    api: Answers
    visit: Visit

    def forget(self, *keys: Hashable) -> None:
        """Read these anew when they are next asked for: somebody changed them. None given: all."""
        self.memo.forget(*keys)
        self.kept.forget(*keys)


async def parts_of(request: Request) -> Parts:
    """The parts of the application that a request came to. No work, so no thread of its own, which costs most when all are busy."""
    parts: Parts = request.app.state.parts
    visit = Visit(parts.kept)
    return replace(parts, api=parts.live if LIVE in request.headers else visit, visit=visit)


The = Annotated[Parts, Depends(parts_of)]
