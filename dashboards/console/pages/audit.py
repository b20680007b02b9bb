"""The record: what people did, here or on the command line, to what, why, and what came of it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.dashboards.console.parts import The
from redrive.dashboards.console.shown import page, with_query

router = APIRouter()

ROWS: Final = 50


@router.get("/audit")
def audit(request: Request, the: The, who: str = "", before: int = 0) -> Response:
    key = ("record", who, before)
    # Kept for a time when it cannot be read; else read by everybody, as whoever signs in writes into it.
    found = the.memo.get(key, 0.0, lambda: the.people.acts(who=who or None, before=before or None, limit=ROWS))
    more = with_query("/audit", {"who": who, "before": found[-1].id}) if len(found) == ROWS else None
    return page(request, "audit.html", acts=found, who=who, more=more, before=before)
