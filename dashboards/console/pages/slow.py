"""Slow jobs: where the workers' time goes by job type and step, and which jobs took longest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from redrive.dashboards.console.parts import The
from redrive.dashboards.console.shown import page
from redrive.deployments.health.time_spent import TypeTimes, time_spent

router = APIRouter()

SPANS: Final = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
#: Seconds that what was read is shared by all who look.
SHARED: Final = 5.0
#: Steps with a colour of their own, the largest first; the others share one.
COLOURED: Final = 5
#: Steps that are listed before the rest is folded away.
LISTED: Final = 6


@router.get("/slow")
def slow(request: Request, the: The, span: str = "24h", job: str = "") -> Response:
    """Of one job type, or of all, as `redrive jobs slow --job`."""
    chosen = span if span in SPANS else "24h"
    found = the.history.get(
        ("slow", chosen, job), SHARED, lambda: time_spent(the.settings, SPANS[chosen], job=job or None)
    )
    books = the.poller.fresh().books
    over: dict[str, list[str]] = {}
    for breach in books.breaches if books else ():
        over.setdefault(breach.job, []).append(breach.said)
    return page(
        request,
        "slow.html",
        span=chosen,
        job=job,
        spans=SPANS,
        types=found.types,
        jobs=found.jobs,
        over=over,
        bar=bar,
        part=part,
        listed=LISTED,
        ended=lambda at: datetime.fromtimestamp(at, UTC),
    )


def bar(one: TypeTimes) -> Markup:
    """How a job type's time divides into its steps, as one bar."""
    parts, at = [], 0.0
    for number, step in enumerate(one.steps):
        width = step.share * 100
        colour = f"s{number}" if number < COLOURED else "rest"
        parts.append(
            Markup('<rect class="{}" x="{:.2f}" width="{:.2f}" height="8"><title>{}: {:.0f} %</title></rect>').format(
                colour, at, max(0.0, width - 0.4), step.name, width
            )
        )
        at += width
    message = ", ".join(f"{step.name} {step.share:.0%}" for step in one.steps) or "no steps"
    return Markup(
        '<svg class="spent" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="outside" width="100" height="8"><title>outside of steps: {:.0f} %</title></rect>{}</svg>'
    ).format(message, one.outside * 100, Markup("").join(parts))


def part(share: float, number: int | None) -> Markup:
    """One step's share, in its colour of the bar above."""
    colour = f"s{number}" if number is not None and number < COLOURED else "rest"
    return Markup(
        '<svg class="spent slice" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="{}" width="{:.2f}" height="4"/></svg>'
    ).format(colour, share * 100)
