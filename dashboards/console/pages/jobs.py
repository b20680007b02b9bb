"""The list of jobs: one filter box, pages by keyset, live as long as nobody pauses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from redrive.blocks.core.errors import ApiUnavailable, LedgerUnavailable, NotFound
from redrive.blocks.core.masking import mask_text
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.paging import Place
from redrive.blocks.prefect.run import Run
from redrive.dashboards.console.access.guard import Fields, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.export import as_csv, as_json_lines
from redrive.dashboards.console.live.outage import Outage
from redrive.dashboards.console.parts import Parts, The
from redrive.dashboards.console.record import acting, written_down
from redrive.dashboards.console.shown import page, with_query
from redrive.deployments.catalog import catalog
from redrive.deployments.jobs import query
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.query_language import NAMES, QueryError, parsed
from redrive.deployments.jobs.search import known_job_types
from redrive.deployments.jobs.states import WORDS
from redrive.deployments.people.views import View
from redrive.deployments.queue_names import queues as queue_names

router = APIRouter()

#: Seconds that a page of the list is shared by all who look at it, and that the names of job types are.
SHARED: Final = 3.0
#: Seconds that it may be old where Prefect's API is busy: what is older says so on the page.
STALE: Final = 10.0
NAMES_SHARED: Final = 30.0
NAMES_STALE: Final = 600.0
#: Seconds that a count is shared.
COUNT_SHARED: Final = 15.0
#: The chips above the list, each a state; and those of the rest of the filter stay.
STATES: Final = ("running", "waiting", "retrying", "scheduled", "dead", "completed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the list."""

    job: Job
    error: str


@router.get("/jobs")
def jobs(request: Request, the: The, q: str = "", after: str = "") -> Response:
    place = Place.read(after)
    names = _names(the)
    values: dict[str, Any] = {
        "q": q,
        "problem": None,
        "rows": [],
        "found": None,
        "outage": None,
        "after": after,
        "states": [
            (state, with_query("/jobs", {"q": _with_state(q, state)}), f"state:{state}" in q) for state in STATES
        ],
        "words": _words(names),
        "names": NAMES,
        "read_at": the.api.read_at(("jobs", q, after)),
        "more": None,
        "views": [(view.name, with_query("/jobs", {"q": view.query}), view.query == q.strip()) for view in _views(the)],
    }
    try:
        asked = parsed(q, datetime.now(UTC), jobs=names, queues=tuple(queue_names()))
    except QueryError as error:
        values["problem"] = error
        return page(request, "jobs.html", code=422, **values)
    try:
        found = the.api.get(("jobs", q, after), SHARED, lambda: query.page(asked, after=place), stale=STALE)
    except ApiUnavailable as error:
        # Nobody asked this before: the page has no rows, and shows them once it can.
        values["outage"] = Outage.of(error, since=the.memos.api.unavailable_since)
        return page(request, "jobs.html", code=503, **values)
    values |= {
        "read_at": the.api.read_at(("jobs", q, after)),
        "rows": [Row(job=Job.of(run), error=_error(run)) for run in found.runs],
        "found": found,
        "more": with_query("/jobs", {"q": q, "after": found.next.text()}) if found.next else None,
    }
    return page(request, "jobs.html", **values)


@router.get("/jobs/count")
def number_of(the: The, q: str = "") -> Response:
    """How many jobs fit, after the page is there: Prefect counts slower than it lists."""
    names = _names(the)
    asked = parsed(q, datetime.now(UTC), jobs=names, queues=tuple(queue_names()))
    try:
        total = the.api.get(("count", q), COUNT_SHARED, lambda: query.count(asked))
    except ApiUnavailable:
        return Response(status_code=204)  # the page says so
    return HTMLResponse("" if total is None else f"{total:,} {'fits' if total == 1 else 'fit'} the filter")


@router.get("/jobs.{kind}")
def export(the: The, kind: str, q: str = "") -> Response:
    """All jobs that fit, as a file: CSV for a spreadsheet, JSON lines for a program; made while it is sent."""
    if kind not in {"csv", "json"}:
        raise NotFound("jobs are given as .csv or .json")
    names = _names(the)
    asked = parsed(q, datetime.now(UTC), jobs=names, queues=tuple(queue_names()))
    lines = as_csv(query.all_jobs(asked)) if kind == "csv" else as_json_lines(query.all_jobs(asked))
    return StreamingResponse(
        lines,
        media_type="text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="jobs.{kind}"'},
    )


@router.post("/views")
def save_view(request: Request, the: The, who: Operator, form: Fields) -> Response:
    name = one(form, "name")
    with written_down(the, acting(the, who), what="save view", about=f"view {name}"):
        the.people.views.save("jobs", name, one(form, "query"), who=who.name)
    return done(request, f"The view {name} is kept for everybody.", go=with_query("/jobs", {"q": one(form, "query")}))


@router.post("/views/forget")
def forget_view(request: Request, the: The, who: Operator, form: Fields) -> Response:
    name = one(form, "name")
    with written_down(the, acting(the, who), what="forget view", about=f"view {name}"):
        the.people.views.forget(name)
    return done(request, f"The view {name} is gone.", go="/jobs")


def _views(the: Parts) -> list[View]:
    try:
        return the.memo.get("views", SHARED, lambda: the.people.views.all("jobs"))
    except LedgerUnavailable:
        return []


def _error(run: Run) -> str:
    job = Job.of(run)
    if job.status in {"dead", "replaced"} and run.labels.error:
        return mask_text(f"{run.labels.error}: {run.labels.error_message or ''}")
    return job.message or ""


def _with_state(q: str, state: str) -> str:
    """The filter with this state instead of the one it names, or without it if it names this one."""
    others = [part for part in q.split() if not part.startswith("state:")]
    return " ".join(others if f"state:{state}" in q.split() else [*others, f"state:{state}"])


def _names(the: Parts) -> tuple[str, ...]:
    """The job types; those of the catalog while Prefect cannot be asked."""
    try:
        return the.api.get("job types", NAMES_SHARED, _job_types, stale=NAMES_STALE)
    except ApiUnavailable:
        return tuple(sorted(name for name, job in catalog().items() if job.pool == POOL))


def _job_types() -> tuple[str, ...]:
    with reachable():
        return tuple(known_job_types())


def _words(names: tuple[str, ...]) -> list[str]:
    """What the box completes."""
    return [
        *(f"state:{word}" for word in WORDS),
        *(f"queue:{queue}" for queue in queue_names()),
        *(f"job:{name}" for name in names),
        *(f"since:{span}" for span in ("15m", "1h", "24h", "7d")),
        "error:",
        'text:"',
        "param.",
        "name:",
        "worker:",
        "until:",
    ]
