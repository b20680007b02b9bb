"""Schedules: when each starts next in its own time zone, how its last job ended; pause, resume, run now."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.blocks.core.errors import ParameterError
from redrive.dashboards.console.access.guard import Fields, Operator
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.record import acting
from redrive.dashboards.console.shown import page
from redrive.deployments.jobs.job import Job
from redrive.deployments.schedules import list_schedules, run_now, set_schedule

router = APIRouter()

#: Seconds that what is read is shared: two calls of Prefect's API for each job type that has a schedule.
SHARED: Final = 10.0
#: Seconds that it is shown at most while it is read anew.
STALE: Final = 20.0


@router.get("/schedules")
def schedules(request: Request, the: The) -> Response:
    found = the.api.get(("schedules",), SHARED, list_schedules, stale=STALE)
    return page(
        request,
        "schedules.html",
        read_at=the.api.read_at(("schedules",)),
        schedules=[
            (one, Job.of(one.last) if one.last else None, Job.of(one.waiting) if one.waiting else None) for one in found
        ],
    )


@router.post("/schedules/{schedule_id}/{act}")
def act(request: Request, the: The, who: Operator, form: Fields, schedule_id: str, act: str) -> Response:
    by = acting(the, who, form)
    try:
        match act:
            case "pause" | "resume":
                found = set_schedule(schedule_id, active=act == "resume", by=by)
                message, to = f"The schedule of {found.job} {'runs again' if act == 'resume' else 'is paused'}.", None
            case "run":
                accepted = run_now(schedule_id, by=by)
                message, to = f"A job of {accepted.job} was asked for now.", f"/jobs/{accepted.id}"
            case _:
                raise ParameterError(f"there is no act {act!r} on a schedule")
    finally:
        the.forget()
    return done(request, message, to=to)
