"""Bulk acts: who asked for what and why, how far each is, what it could not do; and stopping one."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.dashboards.console.access.guard import Operator
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.parts import Parts, The
from redrive.dashboards.console.shown import page, with_query
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, RowsPage
from redrive.deployments.dead_letters.ledger.bulk_acts import BulkAct

router = APIRouter()

SHARED: Final = 1.0
LATER_SHARED: Final = 5.0
ROWS: Final = 50


@router.get("/acts")
def acts(request: Request, the: The) -> Response:
    found = the.memo.get(("acts",), SHARED, lambda: the.ledger.bulk_acts.latest(limit=100))
    return page(request, "acts.html", acts=found)


@router.get("/acts/{act_id}")
def act(request: Request, the: The, act_id: UUID, after: str = "") -> Response:
    found = the.memo.get(("act", act_id), SHARED, lambda: the.ledger.bulk_acts.get(act_id))
    rows = the.memo.get(("act rows", act_id, after), SHARED, lambda: _rows(the, act_id, after))
    return page(
        request,
        "act.html",
        act=found,
        rows=rows.rows,
        more=with_query(f"/acts/{act_id}", {"after": rows.next}) if rows.next else None,
        after=after,
        again=the.memo.get(("again", act_id), LATER_SHARED, lambda: _again(the, found)),
        later=the.memo.get(("later", act_id), LATER_SHARED, lambda: _later(the, found)),
    )


def _rows(the: Parts, act_id: UUID, after: str) -> RowsPage[DeadLetter]:
    found = the.ledger.find(Filter(batch=act_id), limit=ROWS, cursor=after or None)
    return RowsPage(rows=tuple(row.masked() for row in found.rows), next=found.next)


def _again(the: Parts, found: BulkAct) -> int:
    """How many of what was redriven failed again."""
    return the.ledger.count(Filter(batch=found.id, status="open")) if found.what == "redrive" else 0


def _later(the: Parts, found: BulkAct) -> int:
    """How many fit now that failed after the act was asked for: they are none of its."""
    if found.filter.ids:
        return 0
    asked = found.filter.model_copy(update={"recorded_until": None, "since": found.asked, "status": "open"})
    return the.ledger.count(asked) - the.ledger.count(asked.model_copy(update={"batch": found.id}))


@router.post("/acts/{act_id}/stop")
def stop(request: Request, the: The, who: Operator, act_id: UUID) -> Response:
    the.ledger.bulk_acts.stop(act_id, who=who.name)
    the.people.record(who=who.name, what="stop", about=f"bulk act {act_id}")
    the.forget()
    return done(request, "It stops after what is at hand.")
