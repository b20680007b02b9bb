"""The overview: the queues, the workers and the failures as they are now, and how the last hours went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.dashboards.console.access.guard import Fields, Operator, one, signed_in
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.live.alerts import by_name, firing
from redrive.dashboards.console.live.outage import API, EXPORTER, LEDGER, REDIS
from redrive.dashboards.console.live.picture import Picture
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.shown import page, render
from redrive.dashboards.console.values import span
from redrive.deployments.health.keeper_health import KeeperHealth, keeper_health
from redrive.deployments.health.pace import SPANS, series
from redrive.deployments.people.people import about_queue
from redrive.deployments.people.person import Role
from redrive.deployments.queues import pause_queue

router = APIRouter()

#: Seconds that the charts' figures are shared by all who look.
SHARED: Final = 5.0


@router.get("/")
def overview(request: Request, the: The, span: str = "1h") -> Response:
    picture = the.poller.fresh()
    chosen = span if span in SPANS else "1h"
    role = signed_in(request).person.role
    return page(request, "overview.html", span=chosen, spans=SPANS, **_values(picture, role))


@router.get("/live")
async def live(request: Request, the: The) -> Response:
    """The stream of the overview."""
    role = signed_in(request).person.role
    return StreamingResponse(
        the.streams.events(f"overview {role}", lambda picture: _events(picture, role)),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@router.get("/figures")
def figures(the: The, span: str = "1h", job: str = "") -> Response:
    """What the charts draw."""
    chosen = span if span in SPANS else "1h"

    def read() -> dict[str, Any]:
        return series(the.ledger.counts, SPANS[chosen], datetime.now(UTC), job=job or None)

    return JSONResponse(the.history.get(("figures", chosen, job), SHARED, read))


@router.post("/queues/{name}/{act}")
def set_queue(request: Request, the: The, who: Operator, form: Fields, name: str, act: str) -> Response:
    why, paused = one(form, "why"), act == "pause"
    pause_queue(name, paused=paused)
    try:
        the.people.record(who=who.name, what="pause" if paused else "resume", about=about_queue(name), why=why)
        message = f"Queue {name} is paused: jobs wait, those that run go on." if paused else f"Queue {name} runs again."
    except LedgerUnavailable:
        message = f"Queue {name} is {'paused' if paused else 'running'}; who did it and why could not be written down."
    the.poller.paused(name, paused=paused)
    return done(request, message)


def _events(picture: Picture, role: Role) -> dict[str, str]:
    values = _values(picture, role)
    return {
        "alive": render("parts/alive.html", **values),
        "top": render("parts/overview_top.html", **values),
        "now": render("parts/overview_now.html", **values),
    }


def _services(picture: Picture, keeper: KeeperHealth | None) -> list[tuple[str, bool, str]]:
    """The services beside the workers: name, whether it is well, and what it says."""
    gaps = picture.gaps
    calls = f"answered {span(datetime.now(UTC) - picture.sample.at)} ago" if picture.sample else "not asked yet"
    return [
        ("Prefect's API", "prefect" not in gaps, gaps["prefect"][1] if "prefect" in gaps else calls),
        ("Ledger", "ledger" not in gaps, gaps["ledger"][1] if "ledger" in gaps else "reads and writes"),
        ("Keeper", bool(keeper and keeper.healthy), keeper.summary if keeper else "not known without the ledger"),
        ("Exporter", "exporter" not in gaps, gaps["exporter"][1] if "exporter" in gaps else picture.exporter or "well"),
        (
            "Redis",
            bool(picture.sample and picture.sample.workers_known),
            "has the workers' reports"
            if picture.sample and picture.sample.workers_known
            else "has no reports of workers",
        ),
    ]


def _values(picture: Picture, role: Role) -> dict[str, Any]:
    books = picture.books
    keeper = keeper_health(books.duties) if books else None
    return {
        "picture": picture,
        "sample": picture.sample,
        "books": books,
        "keeper": keeper,
        "services": _services(picture, keeper),
        "alerts": by_name(firing(picture, datetime.now(UTC))),
        "names_of": {"prefect": API, "ledger": LEDGER, "exporter": EXPORTER, "redis": REDIS},
        "may_act": role != "viewer",
        "now": datetime.now(UTC),
    }
