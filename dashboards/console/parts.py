"""What the pages share: the ledger, the people, the poller. Made once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from redrive.blocks.core.settings import Settings
from redrive.dashboards.console.access.pace import SignInPace
from redrive.dashboards.console.live.logs import Logs
from redrive.dashboards.console.live.memo import Memo
from redrive.dashboards.console.live.poller import Poller
from redrive.dashboards.console.live.stream import Streams
from redrive.deployments.dead_letters.bulk_runner import BulkRunner
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.people.people import People


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one console."""

    settings: Settings
    ledger: Ledger
    people: People
    poller: Poller
    streams: Streams
    logs: Logs
    bulk: BulkRunner
    pace: SignInPace
    memo: Memo


def parts_of(request: Request) -> Parts:
    """The parts of the application that a request came to."""
    parts: Parts = request.app.state.parts
    return parts


The = Annotated[Parts, Depends(parts_of)]
